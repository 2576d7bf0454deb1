//! Who is asking.

use std::fmt;
use std::sync::Arc;

use luminate_model::TenantId;

/// The longest subject, in bytes: it is written to logs.
pub const MAX_SUBJECT_BYTES: usize = 256;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Query the tenant's data.
    Read,
    /// Write samples of the tenant.
    Write,
    /// Rule the tenant: its dead letters, its erasure.
    Admin,
    /// Rule the installation: no tenant of its own, and any tenant on admin paths.
    Operator,
}

/// A set of [`Scope`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

/// Whose token it is: a subject, and either a tenant with scopes or the operator of the installation.
///
/// No other combination can be made: a tenant's principal always has its tenant, an operator never has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    subject: Arc<str>,
    authority: Authority,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Authority {
    Tenant { tenant: TenantId, scopes: Scopes },
    Operator,
}

/// The parts do not make a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// The subject is empty, too long or not printable.
    #[error("the subject must be 1 to {MAX_SUBJECT_BYTES} bytes without control characters")]
    Subject,
    /// Only an operator has no tenant.
    #[error("a token without a tenant needs the scope `operator`")]
    TenantMissing,
    /// An operator has no tenant.
    #[error("a token of scope `operator` has no tenant")]
    OperatorWithTenant,
    /// An operator reads and writes no tenant's data.
    #[error("the scope `operator` stands alone; make a second token for `{0}`")]
    OperatorWithOthers(Scopes),
}

impl Scope {
    /// All scopes, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Admin, Self::Operator];

    /// The scope as tokens spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// The scope that tokens spell so, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Admin => 4,
            Self::Operator => 8,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Scopes {
    /// No scope at all.
    pub const NONE: Self = Self(0);

    /// This set and one scope more.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// This set without one scope.
    #[must_use]
    pub const fn without(self, scope: Scope) -> Self {
        Self(self.0 & !scope.bit())
    }

    /// Whether the scope is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether there is no scope in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl Principal {
    /// Puts a principal together from what a verified token says.
    ///
    /// # Errors
    /// [`InvalidPrincipal`] where the subject is unfit for logs, where neither a tenant nor the scope `operator` is
    /// given, or where `operator` stands beside a tenant or another scope.
    pub fn new(subject: &str, tenant: Option<TenantId>, scopes: Scopes) -> Result<Self, InvalidPrincipal> {
        if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
            return Err(InvalidPrincipal::Subject);
        }
        let others = scopes.without(Scope::Operator);
        let authority = match (scopes.contains(Scope::Operator), tenant) {
            (true, Some(_)) => return Err(InvalidPrincipal::OperatorWithTenant),
            (true, None) if !others.is_empty() => return Err(InvalidPrincipal::OperatorWithOthers(others)),
            (true, None) => Authority::Operator,
            (false, None) => return Err(InvalidPrincipal::TenantMissing),
            (false, Some(tenant)) => Authority::Tenant { tenant, scopes },
        };
        Ok(Self { subject: Arc::from(subject), authority })
    }

    /// Who the token was made for; for logs and audits, never for decisions.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The tenant that the token belongs to; `None` for an operator.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.authority {
            Authority::Tenant { tenant, .. } => Some(tenant),
            Authority::Operator => None,
        }
    }

    /// What the token allows.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        match self.authority {
            Authority::Tenant { scopes, .. } => scopes,
            Authority::Operator => Scopes::NONE.with(Scope::Operator),
        }
    }

    pub(crate) fn shared_subject(&self) -> Arc<str> {
        Arc::clone(&self.subject)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn tenant() -> Option<TenantId> {
        Some(TenantId::parse("acme").unwrap())
    }

    fn scopes(text: &str) -> Scopes {
        text.split(',').filter_map(Scope::parse).collect()
    }

    #[test]
    fn scopes_are_a_set_that_shows_in_one_order() {
        assert_eq!(scopes("admin,read,read").to_string(), "read,admin");
        assert_eq!(Scope::parse("Read"), None);
        assert!(Scopes::NONE.is_empty());
        assert_eq!(scopes("read,write").without(Scope::Write), scopes("read"));
    }

    #[test]
    fn only_an_operator_has_no_tenant_and_it_has_nothing_else() {
        assert!(Principal::new("s", tenant(), scopes("read,write,admin")).is_ok());
        assert!(Principal::new("s", tenant(), Scopes::NONE).is_ok());
        assert!(Principal::new("s", None, scopes("operator")).is_ok());
        assert_eq!(Principal::new("s", None, scopes("read")), Err(InvalidPrincipal::TenantMissing));
        assert_eq!(Principal::new("s", None, Scopes::NONE), Err(InvalidPrincipal::TenantMissing));
        assert_eq!(Principal::new("s", tenant(), scopes("operator")), Err(InvalidPrincipal::OperatorWithTenant));
        assert_eq!(
            Principal::new("s", None, scopes("operator,read")),
            Err(InvalidPrincipal::OperatorWithOthers(scopes("read")))
        );
    }

    #[test]
    fn a_subject_is_fit_for_a_log_line() {
        for bad in ["", "a\nb", &"x".repeat(MAX_SUBJECT_BYTES + 1)] {
            assert_eq!(Principal::new(bad, tenant(), scopes("read")), Err(InvalidPrincipal::Subject));
        }
    }
}
