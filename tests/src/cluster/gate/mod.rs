//! Gates between a writer and its engines: they let everything pass, recognise each step of the writer's protocol on the wire,
//! and hold up the one that a test asks for. A writer that is killed meanwhile dies at exactly that step. So does a gateway that
//! writes its records through them.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`Gates`], [`Step`], [`Half`], [`Held`] |
//! | `wire` | threads, connections, their end |
//! | `kafka` | Kafka's frames; commits and dead letters recognised |
//! | `clickhouse` | HTTP requests whole; inserts and counts recognised |

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use self::wire::Gate;
use super::{Cluster, Load};
use crate::wait::{self, PATIENCE};

mod clickhouse;
mod kafka;
mod wire;

/// A step of the writer's protocol, as it is seen between the writer and its engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The commit that says which batch is about to be stored.
    Intent,
    /// Dead letters, before the batch they come from.
    DeadLetters,
    /// Records of a gateway.
    Records,
    /// What is erased is looked up, between the intent and the insert.
    Ledger,
    /// One slice of a batch.
    Insert,
    /// The rows of a batch are counted, to settle it.
    Count,
    /// The commit that says that everything before is stored.
    Settled,
}

/// Which half of a step is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The request: the engine has nothing of it.
    Request,
    /// The answer: the engine has done it, the writer does not know.
    Answer,
}

/// The gates of one writer, or of one gateway.
pub struct Gates {
    kafka: Vec<Gate>,
    clickhouse: Vec<Gate>,
    watch: Arc<Watch>,
}

impl Gates {
    /// Gates before the brokers and the first database server of a cluster.
    pub fn before(cluster: &Cluster) -> Self {
        let watch = Arc::new(Watch::default());
        let brokers = cluster.kafka.brokers();
        let server = cluster.clickhouse.url().strip_prefix("http://").expect("http");
        let kafka = Gate::open(&brokers.split(',').collect::<Vec<_>>(), &watch, kafka::relay);
        let clickhouse = Gate::open(&[server], &watch, clickhouse::relay);
        Self { kafka, clickhouse, watch }
    }

    /// What a writer's configuration has in place of the engines.
    pub fn config(&self) -> Value {
        let servers: Vec<_> = self.clickhouse.iter().map(|gate| format!("http://{}", gate.address())).collect();
        let mut config = self.gateway_config();
        config["storage"] = json!({"clickhouse": {"addresses": servers}});
        config
    }

    /// What a gateway's configuration has in place of the brokers.
    pub fn gateway_config(&self) -> Value {
        json!({"kafka": {"brokers": self.kafka.iter().map(Gate::address).collect::<Vec<_>>()}})
    }

    /// From now on, or no longer, brokers that are asked about topics say that there are no brokers, as one does that its controllers
    /// have fenced.
    pub fn hide_brokers(&self, are_hidden: bool) {
        self.watch.lock().brokers_are_hidden = are_hidden;
    }

    /// Will hold up the next such step.
    pub fn hold(&self, step: Step, half: Half) -> Held {
        self.hold_after(0, step, half)
    }

    /// Will hold up the next such step after `others` of its kind.
    pub fn hold_after(&self, others: u64, step: Step, half: Half) -> Held {
        let mut state = self.watch.lock();
        state.last += 1;
        let number = state.last;
        state.holds.insert(number, Hold { step, half, others, stage: Stage::Waiting });
        Held { watch: Arc::clone(&self.watch), number }
    }

    /// Holds up the next such step of a writer under load, and waits until it has come to it.
    pub fn catch(&self, load: &Load, step: Step, half: Half) -> Held {
        let held = self.hold(step, half);
        if step == Step::Settled {
            // Where records never cease to come, the next intent says what a commit of its own would.
            let begun = self.asked(Step::Intent);
            let begins = || (self.asked(Step::Intent) > begun || held.is_caught()).then_some(());
            wait::until("the writer begins a batch", begins);
            load.rest();
        }
        held.wait();
        load.go_on();
        held
    }

    /// How many requests of a step were let through to the engine, and answered.
    pub fn answered(&self, step: Step) -> u64 {
        self.watch.lock().answered.get(&step).copied().unwrap_or_default()
    }

    /// How many requests of a step came from the writer.
    pub fn asked(&self, step: Step) -> u64 {
        self.watch.lock().asked.get(&step).copied().unwrap_or_default()
    }
}

/// A step that is, or will be, held up. Dropped, it is cut off: what was held never arrives.
pub struct Held {
    watch: Arc<Watch>,
    number: u64,
}

impl Held {
    /// Waits until the writer has come to the step.
    pub fn wait(&self) {
        let not_caught = |state: &mut State| state.holds[&self.number].stage != Stage::Caught;
        let waited = self.watch.changed.wait_timeout_while(self.watch.lock(), PATIENCE, not_caught);
        let (state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        let Hold { step, half, .. } = state.holds[&self.number];
        drop(state);
        assert!(!time.timed_out(), "waited {PATIENCE:?} in vain: the writer comes to {step:?}, {half:?}");
    }

    fn is_caught(&self) -> bool {
        self.watch.lock().holds[&self.number].stage == Stage::Caught
    }

    /// Lets it go on, whether the writer lives or not.
    pub fn let_go(self) {
        self.end(Stage::LetGo);
    }

    /// Lets the first half of its bytes go on, and closes the connection.
    pub fn break_off(self) {
        self.end(Stage::BrokenOff);
    }

    fn end(&self, stage: Stage) {
        if let Some(hold) = self.watch.lock().holds.get_mut(&self.number) {
            hold.stage = stage;
        }
        self.watch.changed.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let is_over = |hold: &Hold| matches!(hold.stage, Stage::LetGo | Stage::BrokenOff);
        if !self.watch.lock().holds.get(&self.number).is_some_and(is_over) {
            self.end(Stage::CutOff);
        }
    }
}

/// What is looked for and was seen on all connections of a writer.
#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    last: u64,
    holds: BTreeMap<u64, Hold>,
    asked: BTreeMap<Step, u64>,
    answered: BTreeMap<Step, u64>,
    brokers_are_hidden: bool,
}

struct Hold {
    step: Step,
    half: Half,
    others: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Caught,
    LetGo,
    BrokenOff,
    CutOff,
}

/// What becomes of bytes that came to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    BreakOff,
    CutOff,
}

impl Watch {
    /// Notes that half a step has come; returns when it may go on, and how.
    fn admit(&self, step: Step, half: Half) -> Fate {
        let mut state = self.lock();
        let seen = if half == Half::Request { &mut state.asked } else { &mut state.answered };
        *seen.entry(step).or_default() += 1;
        let wanted = |hold: &Hold| hold.stage == Stage::Waiting && (hold.step, hold.half) == (step, half);
        let Some((number, hold)) = state.holds.iter_mut().find(|(_, hold)| wanted(hold)) else { return Fate::Pass };
        if hold.others > 0 {
            hold.others -= 1;
            return Fate::Pass;
        }
        let number = *number;
        hold.stage = Stage::Caught;
        self.changed.notify_all();
        let held = |state: &mut State| state.holds[&number].stage == Stage::Caught;
        let state = self.changed.wait_while(state, held).unwrap_or_else(PoisonError::into_inner);
        match state.holds[&number].stage {
            Stage::LetGo => Fate::Pass,
            Stage::BrokenOff => Fate::BreakOff,
            _ => Fate::CutOff,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
