//! Kafka's frames: four bytes of length, and in a request the number of the API, its version and the number that its answer
//! repeats.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use super::wire::{Connection, forward};
use super::{Fate, Half, Step, Watch};

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const OFFSET_COMMIT: i16 = 8;
const FIND_COORDINATOR: i16 = 10;

/// Where brokers say of themselves to be.
const HOST: &[u8] = b"127.0.0.1";

/// What was asked, by the number that the answer repeats.
type Asked = Arc<Mutex<BTreeMap<[u8; 4], Question>>>;

/// A request whose answer is to come.
struct Question {
    api: i16,
    version: i16,
    step: Option<Step>,
}

/// The first version of metadata that is written in Kafka's compact way.
const COMPACT_METADATA: i16 = 9;

/// Takes a connection to its end.
pub(super) fn relay(connection: Connection) -> io::Result<()> {
    let Connection { mut client, mut server, ports, watch } = connection;
    let asked = Asked::default();
    let mut answers = Answers { from: server.try_clone()?, to: client.try_clone()?, asked: Arc::clone(&asked), ports };
    let answering = {
        let watch = Arc::clone(&watch);
        std::thread::spawn(move || {
            let ended = answers.relay(&watch);
            // A broker that is gone is gone for the client too.
            let _ = answers.to.shutdown(Shutdown::Both);
            ended
        })
    };
    while let Ok(request) = frame(&mut client) {
        let api = i16::from_be_bytes([request[4], request[5]]);
        let version = i16::from_be_bytes([request[6], request[7]]);
        let step = step(api, &request);
        let question = Question { api, version, step };
        asked.lock().unwrap().insert([request[8], request[9], request[10], request[11]], question);
        let fate = step.map_or(Fate::Pass, |step| watch.admit(step, Half::Request));
        if forward(&mut server, &request, fate).is_err() {
            break;
        }
    }
    // What the server still says to those requests is of interest, the client gone or not.
    let _ = server.shutdown(Shutdown::Write);
    answering.join().expect("answers are relayed")
}

/// Which step of the protocol a request is: a writer's, whose producer writes nothing but dead letters, or a gateway's.
fn step(api: i16, request: &[u8]) -> Option<Step> {
    match api {
        PRODUCE if contains(request, b"deadletters") => Some(Step::DeadLetters),
        PRODUCE => Some(Step::Records),
        OFFSET_COMMIT if contains(request, b"\"shard\"") => Some(Step::Intent),
        OFFSET_COMMIT => Some(Step::Settled),
        _ => None,
    }
}

/// The way back.
struct Answers {
    from: TcpStream,
    to: TcpStream,
    asked: Asked,
    ports: Arc<BTreeMap<u16, u16>>,
}

impl Answers {
    fn relay(&mut self, watch: &Watch) -> io::Result<()> {
        loop {
            let mut answer = frame(&mut self.from)?;
            let number = [answer[4], answer[5], answer[6], answer[7]];
            let unasked = Question { api: -1, version: 0, step: None };
            let Question { api, version, step } = self.asked.lock().unwrap().remove(&number).unwrap_or(unasked);
            if matches!(api, METADATA | FIND_COORDINATOR) {
                replace_ports(&mut answer, &self.ports);
            }
            if api == METADATA && watch.lock().brokers_are_hidden {
                assert!(version >= COMPACT_METADATA, "metadata of version {version} is not understood");
                hide_brokers(&mut answer);
            }
            let fate = step.map_or(Fate::Pass, |step| watch.admit(step, Half::Answer));
            forward(&mut self.to, &answer, fate)?;
        }
    }
}

/// The next frame, its length included.
fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if length < 8 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// In whatever version of the format, a broker's host is followed by its port, in four bytes.
fn replace_ports(answer: &mut [u8], ports: &BTreeMap<u16, u16>) {
    for at in 0..answer.len() {
        let Some([high, low, port @ ..]) = answer[at..].strip_prefix(HOST).and_then(|rest| rest.first_chunk::<4>())
        else {
            continue;
        };
        let ours = ports.get(&u16::from_be_bytes(*port)).filter(|_| (*high, *low) == (0, 0));
        if let Some(ours) = ours {
            let end = at + HOST.len() + 4;
            answer[end - 2..end].copy_from_slice(&ours.to_be_bytes());
        }
    }
}

/// Leaves no broker in an answer that has topics. Before the brokers stand the frame's length, the request's number, no tags, and a
/// time of throttling; each broker is its number, host, port, rack and no tags; after them come the cluster's id, the controller's
/// number and the topics.
fn hide_brokers(answer: &mut Vec<u8>) {
    const BROKERS: usize = 4 + 4 + 1 + 4;
    // Counts and lengths are one more than they say, so that 0 is nothing; they are short in tests.
    let skip_text = |at: usize| at + usize::from(answer[at]).max(1);
    let mut end = BROKERS + 1;
    for _ in 1..answer[BROKERS] {
        let port = skip_text(end + 4);
        // Behind the rack stand the tags.
        end = skip_text(port + 4) + 1;
    }
    let topics = skip_text(end) + 4;
    if answer[topics] <= 1 {
        return;
    }
    answer.splice(BROKERS..end, [1]);
    let length = u32::try_from(answer.len() - 4).expect("a short answer");
    answer[..4].copy_from_slice(&length.to_be_bytes());
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
