//! Reads types from a tree: numbers and lists also from text that has no type, errors with the full path of the key.

use std::collections::btree_map;
use std::fmt::Display;
use std::str::FromStr;
use std::vec;

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::error::ReadError;
use super::tree::{Node, Value};

/// Reads a `T` from the tree.
pub(super) fn read<T: de::DeserializeOwned>(tree: Node) -> Result<T, ReadError> {
    T::deserialize(tree)
}

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Nothing => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => Unexpected::Unsigned(number),
                (_, Some(number), _) => Unexpected::Signed(number),
                (_, _, Some(number)) => Unexpected::Float(number),
                _ => Unexpected::Other("a number"),
            },
            Self::Text(text) | Self::Untyped(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Section(_) => Unexpected::Map,
        }
    }
}

impl Node {
    /// A number that was written as one or that has no type yet.
    fn number<T: FromStr>(self, expected: &dyn Display) -> Result<T, ReadError> {
        let text = match &self.value {
            Value::Number(number) => Some(number.to_string()),
            Value::Untyped(text) => Some(text.trim().to_owned()),
            _ => None,
        };
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let expected = expected.to_string();
            ReadError::invalid_type(self.value.unexpected(), &expected.as_str()).with_origin(self.origin.as_deref())
        })
    }

    fn mismatch(&self, expected: &str) -> ReadError {
        ReadError::invalid_type(self.value.unexpected(), &expected)
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let origin = self.origin.clone();
            let expected = format!("a whole number from {} to {}", <$number>::MIN, <$number>::MAX);
            let number: $number = self.number(&expected)?;
            visitor.$visit(number).map_err(|error: ReadError| error.with_origin(origin.as_deref()))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let origin = self.origin;
        match self.value {
            Value::Nothing => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => {
                number.deserialize_any(visitor).map_err(|error: serde_json::Error| ReadError::custom(error))
            }
            Value::Text(text) | Value::Untyped(text) => visitor.visit_string(text),
            Value::List(items) => visitor.visit_seq(Items { items: items.into_iter(), next: 0 }),
            Value::Section(entries) => visitor.visit_map(Entries { entries: entries.into_iter(), value: None }),
        }
        .map_err(|error| error.with_origin(origin.as_deref()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let value = match &self.value {
            Value::Bool(value) => Some(*value),
            Value::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        match value {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.mismatch("`true` or `false`")),
        }
        .map_err(|error: ReadError| error.with_origin(self.origin.as_deref()))
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let origin = self.origin.clone();
        let number: f64 = self.number(&"a number")?;
        if !number.is_finite() {
            return Err(ReadError::custom("expected a finite number").with_origin(origin.as_deref()));
        }
        visitor.visit_f64(number).map_err(|error: ReadError| error.with_origin(origin.as_deref()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Text(text) | Value::Untyped(text) => visitor.visit_string(text),
            // The visitor says what it expects.
            other => Err(ReadError::invalid_type(other.unexpected(), &visitor)),
        }
        .map_err(|error: ReadError| error.with_origin(self.origin.as_deref()))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if matches!(self.value, Value::Bool(_) | Value::Number(_)) {
            return Err(self.mismatch("a text (put it in quotes)").with_origin(self.origin.as_deref()));
        }
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.value == Value::Nothing { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.value {
            // From the environment or a flag: `a, b`.
            Value::Untyped(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let items =
                    parts.map(|part| Self::new(Value::Untyped(part.to_owned()), self.origin.as_ref())).collect();
                Self::new(Value::List(items), self.origin.as_ref()).deserialize_any(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Nothing => Self::empty_section().deserialize_any(visitor),
            Value::Section(_) => self.deserialize_any(visitor),
            _ => Err(self.mismatch("a section").with_origin(self.origin.as_deref())),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let origin = self.origin.clone();
        let variant = match self.value {
            Value::Text(text) | Value::Untyped(text) => Variant { name: text, content: None },
            Value::Section(entries) if entries.len() == 1 => match entries.into_iter().next() {
                Some((name, content)) => Variant { name, content: Some(content) },
                None => return Err(ReadError::custom("expected one key")),
            },
            _ => return Err(self.mismatch("a name, or a section with one name").with_origin(origin.as_deref())),
        };
        visitor.visit_enum(variant).map_err(|error: ReadError| error.with_origin(origin.as_deref()))
    }

    forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any }
}

impl IntoDeserializer<'_, ReadError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items {
    items: vec::IntoIter<Node>,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let position = self.next;
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.below(&position.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries {
    entries: btree_map::IntoIter<String, Node>,
    value: Option<(String, Node)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, node)) = self.entries.next() else {
            return Ok(None);
        };
        let origin = node.origin.clone();
        self.value = Some((key.clone(), node));
        let key: StringDeserializer<ReadError> = key.into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.with_origin(origin.as_deref()))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let Some((key, node)) = self.value.take() else {
            return Err(ReadError::custom("a value was asked for before its key"));
        };
        let origin = node.origin.clone();
        seed.deserialize(node).map_err(|error| error.with_origin(origin.as_deref()).below(&key))
    }
}

struct Variant {
    name: String,
    content: Option<Node>,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = ReadError;
    type Variant = VariantContent;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, VariantContent), ReadError> {
        let name: StringDeserializer<ReadError> = self.name.clone().into_deserializer();
        let value = seed.deserialize(name)?;
        Ok((value, VariantContent { name: self.name, content: self.content }))
    }
}

struct VariantContent {
    name: String,
    content: Option<Node>,
}

impl VariantContent {
    fn content(self) -> Result<(String, Node), ReadError> {
        match self.content {
            Some(content) => Ok((self.name, content)),
            None => Err(ReadError::custom(format!("`{}` needs a section of its own", self.name))),
        }
    }
}

impl<'de> de::VariantAccess<'de> for VariantContent {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None => Ok(()),
            Some(node) if node.value == Value::Nothing => Ok(()),
            Some(_) => Err(ReadError::custom(format!("`{}` has no keys", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        let (name, content) = self.content()?;
        seed.deserialize(content).map_err(|error| error.below(&name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        let (name, content) = self.content()?;
        de::Deserializer::deserialize_tuple(content, len, visitor).map_err(|error| error.below(&name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let (name, content) = self.content()?;
        de::Deserializer::deserialize_map(content, visitor).map_err(|error| error.below(&name))
    }
}
