//! Tokens that were verified a moment ago.
//!
//! Checking a signature costs ten times what a look-up does, and producers send the same token with every request. Only good
//! tokens are kept, so nobody without one can push the others out.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::digest;

use crate::claims::Lifetime;
use crate::principal::Principal;

/// Identifies a token without keeping it: SHA-256, since whoever can make two tokens collide is someone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

#[derive(Debug, Clone)]
pub(crate) struct VerifiedToken {
    pub(crate) principal: Principal,
    pub(crate) lifetime: Lifetime,
}

/// Two generations of tokens. When the young one is full it becomes the old one, and what was old and not used since is
/// forgotten: bounded, with no list to keep in order.
#[derive(Debug)]
pub(crate) struct TokenCache {
    generations: RwLock<Generations>,
    tokens_per_generation: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<TokenDigest, VerifiedToken>,
    old: HashMap<TokenDigest, VerifiedToken>,
}

impl TokenDigest {
    pub(crate) fn of(token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let mut bytes = [0; 32];
        // SHA-256 is 32 bytes long; zip needs no proof of it.
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl TokenCache {
    /// A cache that never holds more than `max_tokens`.
    pub(crate) fn new(max_tokens: usize) -> Self {
        Self { generations: RwLock::default(), tokens_per_generation: (max_tokens / 2).max(1) }
    }

    /// The token, if it was verified before. Its lifetime is the caller's to check.
    pub(crate) fn get(&self, digest: &TokenDigest) -> Option<VerifiedToken> {
        let generations = self.read();
        if let Some(token) = generations.young.get(digest) {
            return Some(token.clone());
        }
        let token = generations.old.get(digest).cloned()?;
        drop(generations);
        self.insert(*digest, token.clone());
        Some(token)
    }

    pub(crate) fn insert(&self, digest: TokenDigest, token: VerifiedToken) {
        let mut generations = self.write();
        if generations.young.len() >= self.tokens_per_generation {
            generations.old = mem::take(&mut generations.young);
        }
        generations.old.remove(&digest);
        generations.young.insert(digest, token);
    }

    pub(crate) fn remove(&self, digest: &TokenDigest) {
        let mut generations = self.write();
        generations.young.remove(digest);
        generations.old.remove(digest);
    }

    // The maps are whole between any two statements, so a panic elsewhere leaves nothing broken behind the lock.
    fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Generations> {
        self.generations.write().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let generations = self.read();
        generations.young.len() + generations.old.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    fn token() -> VerifiedToken {
        let claims: Claims = serde_json::from_str(r#"{"sub":"s","exp":1,"tenant":"acme","scopes":["read"]}"#).unwrap();
        VerifiedToken { principal: claims.principal().unwrap(), lifetime: claims.lifetime() }
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let cache = TokenCache::new(10);
        for n in 0..1000 {
            cache.insert(TokenDigest::of(&n.to_string()), token());
            assert!(cache.len() <= 10);
        }
        assert!(cache.get(&TokenDigest::of("999")).is_some());
        assert!(cache.get(&TokenDigest::of("0")).is_none());
    }

    #[test]
    fn a_token_in_use_outlives_many_that_are_not() {
        let cache = TokenCache::new(10);
        let used = TokenDigest::of("used");
        cache.insert(used, token());
        for n in 0..1000 {
            cache.insert(TokenDigest::of(&n.to_string()), token());
            assert!(cache.get(&used).is_some(), "forgotten after {n}");
        }
    }

    #[test]
    fn a_removed_token_is_gone_from_both_generations() {
        let cache = TokenCache::new(2);
        cache.insert(TokenDigest::of("a"), token());
        cache.insert(TokenDigest::of("b"), token());
        for name in ["a", "b"] {
            assert!(cache.get(&TokenDigest::of(name)).is_some());
            cache.remove(&TokenDigest::of(name));
            assert!(cache.get(&TokenDigest::of(name)).is_none());
        }
    }
}
