//! A made-up cluster around the protocol: a partition's log, the group's coordinator, a store without transactions, and
//! writers that come and go. Every step is a dice's choice: what is answered, what is lost, what comes late. Whatever the dice
//! say, no sample is ever stored twice, nothing is passed that is not settled, and in the end everything is stored.
//!
//! | module | holds |
//! |---|---|
//! | [`log`] | the records, and what must become of each |
//! | [`store`] | slices, tokens, inserts that come late |
//! | [`registry`] | a schema registry that changes its mind |
//! | [`world`] | log, coordinator, store and writers, and one step of it all |
//! | [`operations`] | what becomes of the operations that writers ask for |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod log;
mod operations;
mod registry;
mod store;
mod world;

use proptest::prelude::*;

use store::Flaws;
use world::World;

fn lives(flaws: Flaws, dice: &[u8]) -> World {
    let mut world = World::new(flaws);
    for roll in dice {
        world.step(*roll);
    }
    world.heal();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_sample_is_stored_once_whatever_happens(dice in proptest::collection::vec(any::<u8>(), 0..400)) {
        let world = lives(Flaws::default(), &dice);
        world.assert_everything_is_stored_once();
    }
}

/// Reading from the beginning would store everything again.
#[test]
#[should_panic(expected = "the group has no committed offset")]
fn a_writer_that_finds_samples_and_no_commit_halts() {
    let mut world = lives(Flaws::default(), &dice_of(1));
    world.assert_everything_is_stored_once();
    world.lose_commits();
    world.heal();
}

/// Nothing has come for longer than the topic keeps records: those that were to be remembered are gone, and nothing else.
#[test]
fn an_idle_partition_goes_on_when_its_keyed_records_are_gone() {
    for records_are_left in [false, true] {
        let mut world = World::new(Flaws::default());
        world.append_keyed_and_store();
        world.let_a_day_pass();
        if records_are_left {
            world.append_keyed_and_store();
        }
        world.lose_what_nobody_needs();
        world.append_keyed_and_store();
        world.heal();
        world.assert_everything_is_stored_once();
    }
}

/// What was not stored of the former topic is gone: somebody must know before the new one is read.
#[test]
fn a_topic_made_again_is_read_when_an_operator_has_said_from_where() {
    for drops_commits in [true, false] {
        for seed in 0..200 {
            let mut world = lives(Flaws::default(), &dice_of(seed));
            let must_halt = world.has_taken_samples();
            world.make_again(drops_commits);
            world.step(0);
            world.give_to_another(None);
            for _ in 0..50 {
                world.go_on();
            }
            assert_eq!((world.has_halted(), world.has_stored()), (must_halt, !must_halt), "seed {seed}");
            world.heal();
            world.assert_everything_is_stored_once();
            assert!(world.has_stored() && !world.has_halted(), "seed {seed}");
        }
    }
}

/// What the model is worth: each way in which a store or a writer could be wrong is seen by it.
#[test]
fn a_store_or_a_writer_that_is_wrong_is_found_out() {
    let flaws = [
        ("settling believes the token", Flaws { settle_believes_token: true, ..Flaws::default() }),
        ("settling inserts without counting", Flaws { settle_does_not_count: true, ..Flaws::default() }),
        ("inserts carry no token", Flaws { no_token: true, ..Flaws::default() }),
        ("commits of former owners count", Flaws { no_fencing: true, ..Flaws::default() }),
        ("intents are forgotten", Flaws { intents_are_forgotten: true, ..Flaws::default() }),
        ("a replay goes where new batches go", Flaws { target_is_not_obeyed: true, ..Flaws::default() }),
        ("incarnations are forgotten", Flaws { incarnations_are_forgotten: true, ..Flaws::default() }),
        ("commits name no incarnation", Flaws { commits_name_no_incarnation: true, ..Flaws::default() }),
        ("keyed records are not read again", Flaws { keyed_are_forgotten: true, ..Flaws::default() }),
        ("what schemas meant is not noted", Flaws { schemas_are_forgotten: true, ..Flaws::default() }),
        ("permits never end", Flaws { permits_never_end: true, ..Flaws::default() }),
    ];
    let fails = |flaws: Flaws, seed: u64| {
        let dice = dice_of(seed);
        std::panic::catch_unwind(|| lives(flaws, &dice).assert_everything_is_stored_once()).is_err()
    };
    const SEEDS: u64 = 10_000;
    assert_eq!((0..SEEDS).find(|seed| fails(Flaws::default(), *seed)), None, "nothing is wrong");
    for (name, flaw) in flaws {
        assert!((0..SEEDS).any(|seed| fails(flaw, seed)), "{name}: the model does not see it");
    }
}

/// The same dice for the same seed (SplitMix64).
fn dice_of(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 56) as u8
    };
    (0..400).map(|_| next()).collect()
}
