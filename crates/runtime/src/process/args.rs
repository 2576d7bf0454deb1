//! The flags that every service has.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command, value_parser};

use crate::config::EnvVariable;
use crate::lifecycle::Identity;

/// The flags of a service's process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessArgs {
    /// The configuration file; else `LUMINATE_CONFIG` names it.
    pub config: Option<PathBuf>,
    /// Address and port to listen on, over everything else.
    pub listen: Option<String>,
    /// Where to write the address that was taken, once requests are answered.
    pub address_file: Option<PathBuf>,
}

impl ProcessArgs {
    /// Reads the command line of this process. `--help` lists the variables that set keys.
    ///
    /// # Errors
    /// The exit code, where help was asked for or a flag is wrong; what to say has been said.
    pub fn parse(identity: Identity, about: &'static str, variables: &[EnvVariable]) -> Result<Self, ExitCode> {
        Self::parse_from(identity, about, variables, std::env::args_os()).map_err(|error| {
            // Nobody is left to tell where this fails.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        })
    }

    fn parse_from<T: Into<OsString> + Clone>(
        identity: Identity,
        about: &'static str,
        variables: &[EnvVariable],
        args: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let mut matches = command(identity, about, variables).try_get_matches_from(args)?;
        Ok(Self {
            config: matches.remove_one("config"),
            listen: matches.remove_one("listen"),
            address_file: matches.remove_one("address-file"),
        })
    }
}

fn command(identity: Identity, about: &'static str, variables: &[EnvVariable]) -> Command {
    let width = variables.iter().map(|variable| variable.name.len()).max().unwrap_or_default();
    let lines = variables.iter().map(|variable| format!("  {:width$}  {}\n", variable.name, variable.description));
    let after = format!(
        "Settings come from flags, over environment variables, over the configuration file, over defaults.\n\n\
         Environment:\n{}\nExample:\n  {} --listen 0.0.0.0:8080 --config /etc/luminate.yaml",
        lines.collect::<String>(),
        identity.service,
    );
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new(identity.service)
        .version(identity.version)
        .about(about)
        .after_help(after)
        .arg(file("config", "The configuration file (YAML)"))
        .arg(Arg::new("listen").long("listen").value_name("ADDRESS").help("Address and port; port 0 takes a free one"))
        .arg(file("address-file", "Write the address that was taken to this file, once probes are answered"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { service: "luminate-test", version: "1" };
    const VARIABLES: &[EnvVariable] =
        &[EnvVariable { name: "LUMINATE_LISTEN", key: "http.listen", description: "Where to listen." }];

    fn parse(args: &[&str]) -> Result<ProcessArgs, clap::Error> {
        ProcessArgs::parse_from(IDENTITY, "Tests.", VARIABLES, args)
    }

    #[test]
    fn flags_are_read() {
        assert_eq!(parse(&["x"]).unwrap(), ProcessArgs::default());
        let args = parse(&["x", "--listen", "1.2.3.4:5", "--config", "/c", "--address-file", "/a"]).unwrap();
        assert_eq!((args.listen.as_deref(), args.config), (Some("1.2.3.4:5"), Some("/c".into())));
        assert_eq!(args.address_file, Some("/a".into()));
    }

    #[test]
    fn help_names_the_variables_and_mistakes_are_told() {
        let help = parse(&["x", "--help"]).unwrap_err().to_string();
        assert!(help.contains("LUMINATE_LISTEN  Where to listen."), "{help}");
        assert_eq!(parse(&["x", "--lisen", "y"]).unwrap_err().exit_code(), 2);
    }
}
