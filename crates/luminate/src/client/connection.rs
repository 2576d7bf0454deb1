//! Which server, and with which token.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::error::ClientError;
use super::http::ServerClient;

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The largest token file that is read, in bytes.
const MAX_TOKEN_FILE_BYTES: u64 = 16 * 1024;

/// Where a client command finds the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// Address of the server
    #[arg(long, env = "LUMINATE_URL", hide_env_values = true, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,

    #[command(flatten)]
    token: TokenSource,
}

/// Where an admin command finds the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct AdminConnection {
    /// Address of the admin API [default: that of --url]
    #[arg(long, env = "LUMINATE_ADMIN_URL", hide_env_values = true, value_name = "URL")]
    admin_url: Option<String>,

    #[command(flatten)]
    server: Connection,
}

// A token is never a flag's value: the list of processes shows those to everyone on the machine.
#[derive(Debug, Clone, Args)]
struct TokenSource {
    /// File that holds the token [default: the token in LUMINATE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// A client with a token; `scopes` are what the command needs, for the message where there is none.
    pub(crate) fn client(&self, scopes: &'static str) -> Result<ServerClient, ClientError> {
        ServerClient::new(&self.url, Some(self.token.read(scopes)?))
    }

    /// A client for what needs no token.
    pub(crate) fn anonymous_client(&self) -> Result<ServerClient, ClientError> {
        ServerClient::new(&self.url, None)
    }
}

impl AdminConnection {
    /// A client of the admin API.
    pub(crate) fn client(&self) -> Result<ServerClient, ClientError> {
        let url = self.admin_url.as_deref().filter(|url| !url.is_empty()).unwrap_or(&self.server.url);
        ServerClient::new(url, Some(self.server.token.read("admin")?))
    }
}

impl TokenSource {
    fn read(&self, scopes: &'static str) -> Result<String, ClientError> {
        let token = match &self.token_file {
            Some(path) => {
                let failed = |reason: String| ClientError::TokenFile { path: path.display().to_string(), reason };
                let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
                if size > MAX_TOKEN_FILE_BYTES {
                    return Err(failed(format!("it has {size} bytes, which is no token")));
                }
                let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
                if text.trim().is_empty() {
                    return Err(failed("it is empty".to_owned()));
                }
                text
            }
            None => std::env::var("LUMINATE_TOKEN").unwrap_or_default(),
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(ClientError::NoToken { scopes });
        }
        Ok(token.to_owned())
    }
}
