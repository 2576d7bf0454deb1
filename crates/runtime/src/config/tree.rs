//! Configuration before it has types: the layers and their union.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Such as `environment variable LUMINATE_LISTEN`; `None` for defaults.
    pub(super) origin: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Number(serde_json::Number),
    /// A text that was written as such.
    Text(String),
    /// A text that may stand for anything: from the environment, a flag or an expansion. Read as its key wants it.
    Untyped(String),
    List(Vec<Node>),
    Section(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn new(value: Value, origin: Option<&Arc<str>>) -> Self {
        Self { value, origin: origin.cloned() }
    }

    pub(super) fn empty_section() -> Self {
        Self::new(Value::Section(BTreeMap::new()), None)
    }

    /// A tree of one value below a dotted path.
    pub(super) fn at_path(path: &str, leaf: Self) -> Self {
        path.rsplit('.').fold(leaf, |inner, key| {
            let origin = inner.origin.clone();
            Self { value: Value::Section(BTreeMap::from([(key.to_owned(), inner)])), origin }
        })
    }

    pub(super) fn from_json(value: serde_json::Value, origin: Option<&Arc<str>>) -> Self {
        let value = match value {
            serde_json::Value::Null => Value::Nothing,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(number),
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(items) => {
                Value::List(items.into_iter().map(|item| Self::from_json(item, origin)).collect())
            }
            serde_json::Value::Object(entries) => {
                Value::Section(entries.into_iter().map(|(key, value)| (key, Self::from_json(value, origin))).collect())
            }
        };
        Self::new(value, origin)
    }

    /// Lays another layer over this one: sections key by key, everything else as a whole. A section in which nothing is
    /// written (`http:` and then only comments) changes nothing.
    pub(super) fn overlay(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Section(_), Value::Nothing) => {}
            (Value::Section(base), Value::Section(entries)) => {
                for (key, node) in entries {
                    match base.get_mut(&key) {
                        Some(below) => below.overlay(node),
                        None => {
                            base.insert(key, node);
                        }
                    }
                }
                self.origin = over.origin.or(self.origin.take());
            }
            (_, value) => *self = Self { value, origin: over.origin },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tree(value: serde_json::Value) -> Node {
        Node::from_json(value, None)
    }

    fn overlaid(base: serde_json::Value, over: serde_json::Value) -> Node {
        let mut node = tree(base);
        node.overlay(tree(over));
        node
    }

    #[test]
    fn sections_are_laid_over_key_by_key_and_lists_as_a_whole() {
        let base = json!({"http": {"listen": "a", "limits": [1, 2]}, "log": "info"});
        let over = json!({"http": {"limits": [3]}, "other": true});
        assert_eq!(
            overlaid(base, over),
            tree(json!({"http": {"listen": "a", "limits": [3]}, "log": "info", "other": true}))
        );
    }

    #[test]
    fn an_empty_section_changes_nothing_but_nothing_clears_a_value() {
        assert_eq!(overlaid(json!({"a": {"b": 1}}), json!({"a": null})), tree(json!({"a": {"b": 1}})));
        assert_eq!(overlaid(json!({"a": 1}), json!({"a": null})), tree(json!({"a": null})));
    }

    #[test]
    fn a_path_becomes_nested_sections() {
        let leaf = Node::new(Value::Bool(true), None);
        assert_eq!(Node::at_path("a.b.c", leaf), tree(json!({"a": {"b": {"c": true}}})));
    }

    fn any_tree() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!([1, 2])), Just(json!({}))];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|entries| json!(entries))
        })
    }

    proptest! {
        #![proptest_config(crate::seeded_proptest())]

        #[test]
        fn the_last_layer_wins_whatever_is_below(base in any_tree(), over in any_tree()) {
            let once = overlaid(base, over.clone());
            let mut twice = once.clone();
            twice.overlay(tree(over));
            prop_assert_eq!(once, twice);
        }
    }
}
