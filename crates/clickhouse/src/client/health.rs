//! Whether servers answer, asked by itself: queries and inserts may not come for hours.

use std::time::Duration;

use luminate_runtime::lifecycle::{Dependency, Lifecycle, StopStage};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::error::ClientError;
use super::hosts::Hosts;
use super::statement::Statement;

/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How the servers are as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// One of them does what it is asked.
    Up,
    /// None answers.
    Silent,
    /// At least one answers, and none does what it is asked: a password is wrong, say.
    Refusing,
}

impl Hosts {
    /// Shows in the process's health, as `clickhouse`, whether one of the servers answers, until the process drains. Who is
    /// silent is put aside for the statements of others.
    pub fn show_in(&self, lifecycle: &Lifecycle) {
        let (hosts, dependency) = (self.clone(), lifecycle.health().dependency("clickhouse"));
        lifecycle.spawn("clickhouse-health", StopStage::Drain, move |mut stop| async move {
            let mut ticks = interval(ASK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut shown = None;
            loop {
                let answers = tokio::select! {
                    () = stop.requested() => return Ok(()),
                    answers = hosts.ask_each() => answers,
                };
                shown = Some(show(&dependency, shown, &answers));
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = ticks.tick() => {}
                }
            }
        });
    }

    /// Asks every server for nothing, all at once.
    async fn ask_each(&self) -> Vec<Result<(), ClientError>> {
        let mut asked = JoinSet::new();
        for host in self.all() {
            let host = host.clone();
            asked.spawn(async move {
                host.rows::<(u8,)>(Statement::new("SELECT 1").within(ANSWER_WITHIN)).await.map(|_| ())
            });
        }
        asked.join_all().await
    }
}

/// Shows how the servers stand, and returns it. Health is public, and a reason names servers: reasons go to the log, once.
fn show(dependency: &Dependency, shown: Option<Standing>, answers: &[Result<(), ClientError>]) -> Standing {
    let standing = standing(answers);
    match standing {
        Standing::Up => dependency.up(),
        Standing::Silent => dependency.down("does not answer; the log says why"),
        Standing::Refusing => dependency.down("refuses what it is asked; the log says why"),
    }
    if shown != Some(standing) {
        let reason = answers.iter().find_map(|answer| answer.as_ref().err()).map(ToString::to_string);
        match standing {
            Standing::Up if shown.is_some() => tracing::info!("clickhouse answers again"),
            Standing::Up => {}
            Standing::Silent => tracing::warn!(reason, "clickhouse does not answer"),
            Standing::Refusing => tracing::warn!(reason, "clickhouse refuses what it is asked"),
        }
    }
    standing
}

fn standing(answers: &[Result<(), ClientError>]) -> Standing {
    let is_of_the_host = |answer: &Result<(), ClientError>| answer.as_ref().is_err_and(ClientError::is_of_the_host);
    match () {
        () if answers.iter().any(Result::is_ok) => Standing::Up,
        () if answers.iter().all(is_of_the_host) => Standing::Silent,
        () => Standing::Refusing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_its_work_is_enough_and_a_refusal_is_no_work() {
        let silent = || Err(ClientError::Unreachable { host: "http://ch:8123".to_owned(), cause: "gone".to_owned() });
        let refusing = || {
            let message = "Code: 516. DB::Exception: Authentication failed".to_owned();
            Err(ClientError::Server { host: "http://ch:8123".to_owned(), code: 516, message })
        };
        assert_eq!(standing(&[silent(), Ok(()), refusing()]), Standing::Up);
        assert_eq!(standing(&[silent(), refusing()]), Standing::Refusing);
        assert_eq!(standing(&[silent(), silent()]), Standing::Silent);
    }
}
