//! Proof that a check was made.
//!
//! What a service does for a tenant takes one of these types. They are made from a [`Principal`] that has the scope, and in no
//! other way, so neither the check nor the tenant condition can be forgotten.

use std::marker::PhantomData;
use std::sync::Arc;

use luminate_model::TenantId;

use crate::error::AuthError;
use crate::principal::{Principal, Scope};

/// An access that a principal can be granted.
pub trait Grant: Sized {
    /// Grants the access, if the principal has what it takes.
    ///
    /// # Errors
    /// [`AuthError::ScopeMissing`] with the scope that would be needed.
    fn to(principal: &Principal) -> Result<Self, AuthError>;
}

/// The scope that a [`TenantAccess`] proves. Sealed: [`Reading`] and [`Writing`].
pub trait TenantScope: sealed::Sealed + Send + Sync + 'static {
    /// The scope that the principal had.
    const SCOPE: Scope;
}

/// Marks the access that proves [`Scope::Read`].
#[derive(Debug, Clone, Copy)]
pub struct Reading;

/// Marks the access that proves [`Scope::Write`].
#[derive(Debug, Clone, Copy)]
pub struct Writing;

/// Access to the data of one tenant: the one of the token.
#[derive(Debug, Clone)]
pub struct TenantAccess<S> {
    subject: Arc<str>,
    tenant: TenantId,
    scope: PhantomData<S>,
}

/// Access that may query the tenant's data.
pub type ReadAccess = TenantAccess<Reading>;

/// Access that may write samples of the tenant.
pub type WriteAccess = TenantAccess<Writing>;

/// Access to admin paths: an admin of one tenant, or the operator, who may name any.
#[derive(Debug, Clone)]
pub struct AdminAccess {
    subject: Arc<str>,
    /// `None` for the operator.
    own_tenant: Option<TenantId>,
}

/// Access to what concerns the whole installation and no tenant.
#[derive(Debug, Clone)]
pub struct OperatorAccess {
    subject: Arc<str>,
}

impl TenantScope for Reading {
    const SCOPE: Scope = Scope::Read;
}

impl TenantScope for Writing {
    const SCOPE: Scope = Scope::Write;
}

impl<S> TenantAccess<S> {
    /// The tenant whose data it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who is asking, for logs.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl<S: TenantScope> Grant for TenantAccess<S> {
    fn to(principal: &Principal) -> Result<Self, AuthError> {
        match principal.tenant() {
            Some(tenant) if principal.scopes().contains(S::SCOPE) => {
                Ok(Self { subject: principal.shared_subject(), tenant: tenant.clone(), scope: PhantomData })
            }
            _ => Err(AuthError::ScopeMissing { needed: S::SCOPE }),
        }
    }
}

impl AdminAccess {
    /// The tenant that an admin path works on: the admin's own, or the one that the operator named. An admin may name its
    /// own, and no other.
    ///
    /// # Errors
    /// [`AuthError::TenantForbidden`] where an admin names another tenant, [`AuthError::TenantRequired`] where an operator
    /// names none.
    pub fn tenant(&self, named: Option<&TenantId>) -> Result<TenantId, AuthError> {
        match (&self.own_tenant, named) {
            (Some(own), Some(named)) if own != named => Err(AuthError::TenantForbidden { named: named.clone() }),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(named)) => Ok(named.clone()),
            (None, None) => Err(AuthError::TenantRequired),
        }
    }

    /// The tenants that a listing may show: the admin's own, or for the operator the one it named, or all (`None`).
    ///
    /// # Errors
    /// [`AuthError::TenantForbidden`] where an admin names another tenant.
    pub fn visible_tenant(&self, named: Option<&TenantId>) -> Result<Option<TenantId>, AuthError> {
        match self.tenant(named) {
            Ok(tenant) => Ok(Some(tenant)),
            Err(AuthError::TenantRequired) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Who is asking, for logs.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl Grant for AdminAccess {
    fn to(principal: &Principal) -> Result<Self, AuthError> {
        let scopes = principal.scopes();
        if scopes.contains(Scope::Admin) || scopes.contains(Scope::Operator) {
            Ok(Self { subject: principal.shared_subject(), own_tenant: principal.tenant().cloned() })
        } else {
            Err(AuthError::ScopeMissing { needed: Scope::Admin })
        }
    }
}

impl OperatorAccess {
    /// Who is asking, for logs.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl Grant for OperatorAccess {
    fn to(principal: &Principal) -> Result<Self, AuthError> {
        if principal.scopes().contains(Scope::Operator) {
            Ok(Self { subject: principal.shared_subject() })
        } else {
            Err(AuthError::ScopeMissing { needed: Scope::Operator })
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Reading {}
    impl Sealed for super::Writing {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::principal::Scopes;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn of_acme(scope: Scope) -> Principal {
        Principal::new("s", Some(tenant("acme")), Scopes::NONE.with(scope)).unwrap()
    }

    fn operator() -> Principal {
        Principal::new("ops", None, Scopes::NONE.with(Scope::Operator)).unwrap()
    }

    #[test]
    fn each_access_needs_its_own_scope() {
        assert_eq!(ReadAccess::to(&of_acme(Scope::Read)).unwrap().tenant().as_str(), "acme");
        assert_eq!(WriteAccess::to(&of_acme(Scope::Write)).unwrap().tenant().as_str(), "acme");
        let refused = |needed| AuthError::ScopeMissing { needed };
        assert_eq!(ReadAccess::to(&of_acme(Scope::Write)).unwrap_err(), refused(Scope::Read));
        assert_eq!(WriteAccess::to(&of_acme(Scope::Admin)).unwrap_err(), refused(Scope::Write));
        assert_eq!(AdminAccess::to(&of_acme(Scope::Read)).unwrap_err(), refused(Scope::Admin));
        assert_eq!(OperatorAccess::to(&of_acme(Scope::Admin)).unwrap_err(), refused(Scope::Operator));
        assert!(OperatorAccess::to(&operator()).is_ok());
    }

    #[test]
    fn an_operator_reads_and_writes_nothing() {
        assert!(ReadAccess::to(&operator()).is_err());
        assert!(WriteAccess::to(&operator()).is_err());
    }

    #[test]
    fn an_admin_rules_its_own_tenant_and_an_operator_any_that_it_names() {
        let (acme, other) = (tenant("acme"), tenant("other"));
        let admin = AdminAccess::to(&of_acme(Scope::Admin)).unwrap();
        assert_eq!(admin.tenant(None).unwrap(), acme);
        assert_eq!(admin.tenant(Some(&acme)).unwrap(), acme);
        assert_eq!(admin.tenant(Some(&other)).unwrap_err().code(), "tenant_forbidden");
        assert_eq!(admin.visible_tenant(None).unwrap(), Some(acme));
        assert_eq!(admin.visible_tenant(Some(&other)).unwrap_err().code(), "tenant_forbidden");

        let operator = AdminAccess::to(&operator()).unwrap();
        assert_eq!(operator.tenant(Some(&other)).unwrap(), other);
        assert_eq!(operator.tenant(None).unwrap_err(), AuthError::TenantRequired);
        assert_eq!(operator.visible_tenant(None).unwrap(), None);
    }
}
