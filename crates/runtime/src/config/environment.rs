//! Environment variables: which there are, and what they are set to.

use std::collections::BTreeMap;

/// A variable that sets a key of the configuration. A process has one table of them, which is also the reference and
/// `.env.example`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvVariable {
    /// The variable's name.
    pub name: &'static str,
    /// The full path of the key that it sets. Where two variables set the same key, the one further up in the table wins.
    /// Empty for a variable that is read before the configuration is (`LUMINATE_CONFIG`).
    pub key: &'static str,
    /// What it is for, in a sentence.
    pub description: &'static str,
}

/// The environment as it was when the process started.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. Variables whose name or value is not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// This environment without one of its variables.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The value of a variable. One that is set to nothing counts as not set, because that is how container tools pass on what
    /// was not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_raw(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable, also where it is set to nothing.
    pub(super) fn get_raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

// By hand, because values are passwords.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
