//! `luminate token`

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use clap::Args;
use luminate_auth::{Hs256Signer, Principal, SECRET_FILE_NAME, Scope, Scopes, Secret, Validity, load_or_create_secret};
use luminate_model::TenantId;
use luminate_runtime::config::HumanDuration;

use crate::data_dir::default_data_dir;
use crate::failure::CommandFailure;
use crate::output;

/// Make a token, and print it alone
#[derive(Debug, Args)]
#[command(after_help = "\
The token is signed with the secret of the server: JWT_SECRET where it is set, else the secret that `luminate serve` made in
its data folder. Scopes are read, write and admin (dead letters and erasing, of the token's own tenant); a token of the scope
operator has no tenant and may name any on admin paths.

Example:
  export LUMINATE_TOKEN=$(luminate token --tenant acme --scopes read,write --expires 24h)
  luminate token --scopes operator --expires 15m > operator-token")]
pub(crate) struct TokenArgs {
    /// Whose data the token is for
    #[arg(long, value_name = "NAME", required_unless_present = "scopes")]
    tenant: Option<String>,

    /// What it allows: read, write, admin, separated by commas; or operator, without a tenant
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', default_value = "read", value_parser = parse_scope)]
    scopes: Vec<Scope>,

    /// How long it is good for
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    expires: HumanDuration,

    /// Who uses it, for the server's logs
    #[arg(long, value_name = "NAME", default_value = "command-line")]
    subject: String,

    /// The server's data folder [default: LUMINATE_DATA_DIR, else luminate in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text.trim()).ok_or_else(|| "a scope is read, write, admin or operator".to_owned())
}

pub(crate) fn run(args: &TokenArgs) -> Result<(), CommandFailure> {
    let principal = principal(args)?;
    let secret = secret(args)?;
    let signer = Hs256Signer::new(&secret).context("JWT_SECRET cannot be used")?;
    let expires = SystemTime::now()
        .checked_add(args.expires.get())
        .ok_or_else(|| CommandFailure::Usage("--expires is too far away".to_owned()))?;
    let token = signer.sign(&principal, &Validity { not_before: None, expires }).context("cannot make the token")?;
    output::data(&token)
}

#[allow(clippy::disallowed_methods, reason = "whoever holds the secret may name any tenant")]
fn principal(args: &TokenArgs) -> Result<Principal, CommandFailure> {
    let usage = |error: &dyn std::error::Error| CommandFailure::Usage(error.to_string());
    let tenant = args.tenant.as_deref().map(TenantId::parse).transpose().map_err(|error| usage(&error))?;
    let scopes = args.scopes.iter().fold(Scopes::NONE, |scopes, scope| scopes.with(*scope));
    Principal::new(args.subject.as_str(), tenant, scopes).map_err(|error| usage(&error))
}

/// The secret of the server. Makes none: a token that no server knows would only puzzle.
fn secret(args: &TokenArgs) -> Result<Secret, CommandFailure> {
    if let Some(secret) = std::env::var("JWT_SECRET").ok().filter(|secret| !secret.is_empty()) {
        return Ok(Secret::new(secret));
    }
    let folder = args.data.clone().or_else(default_data_dir);
    let folder = folder.ok_or_else(|| CommandFailure::Usage("no data folder is known: give --data DIR".to_owned()))?;
    let file = folder.join(SECRET_FILE_NAME);
    if !file.exists() {
        return Err(anyhow!(
            "no server has made a secret in {} yet: start `luminate serve` first, name its folder with --data, or set \
             JWT_SECRET",
            folder.display()
        )
        .into());
    }
    let (secret, _) = load_or_create_secret(&folder).context("cannot use the server's secret")?;
    Ok(secret)
}
