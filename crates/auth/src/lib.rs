//! luminate-auth
