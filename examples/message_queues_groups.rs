//! Twelve partitions, a group of consumers, and members that come and go: who reads
//! which partition now?
//!
//! Look at two numbers. `moved` partitions have a new owner, who has to find out
//! where to go on and has nothing of them in memory. `stopped` partitions are read
//! by nobody until the group has agreed. The eager protocol stops them all; the
//! cooperative one stops those that move. Then look at the member that everyone
//! thought dead: what it says is refused by its generation, and what it has done
//! elsewhere is not.
//!
//! Simplified: one coordinator that does not fail, and messages that arrive.

use std::collections::{BTreeMap, BTreeSet};

type Partition = usize;
type Member = char;

const PARTITIONS: usize = 12;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Generation(u32);

/// Everything anew: neighbours to neighbours, in the order of the members.
fn range(members: &BTreeSet<Member>) -> Vec<Member> {
    let owner = |partition| {
        let nth = partition * members.len() / PARTITIONS;
        members.iter().nth(nth).copied().expect("nth < len")
    };
    (0..PARTITIONS).map(owner).collect()
}

/// Whoever has a partition keeps it, up to a fair share.
fn sticky(members: &BTreeSet<Member>, old: &[Option<Member>]) -> Vec<Member> {
    let mut share: BTreeMap<Member, usize> =
        members.iter().map(|m| (*m, 0)).collect();
    let at_least = PARTITIONS / members.len();
    let mut one_more = PARTITIONS % members.len(); // so many members have one more
    let mut new: Vec<Option<Member>> = vec![None; PARTITIONS];
    for partition in 0..PARTITIONS {
        let owner = old[partition];
        let Some(has) = owner.and_then(|member| share.get_mut(&member)) else {
            continue; // it has no owner, or a dead one
        };
        if *has < at_least || (*has == at_least && one_more > 0) {
            one_more -= usize::from(*has == at_least);
            *has += 1;
            new[partition] = owner;
        }
    }
    let to_the_poorest = |kept: Option<Member>| {
        kept.unwrap_or_else(|| {
            let poorest = share.iter_mut().min_by_key(|(_, has)| **has);
            let (member, has) = poorest.expect("a group has members");
            *has += 1;
            *member
        })
    };
    new.into_iter().map(to_the_poorest).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Eager,
    Cooperative,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    stopped: usize,
    moved: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Fenced {
    OldGeneration,
    NotTheOwner,
}

struct Group {
    protocol: Protocol,
    is_sticky: bool,
    members: BTreeSet<Member>,
    generation: Generation,
    owner: Vec<Option<Member>>,
    committed: [u64; PARTITIONS],
    heard: BTreeMap<Member, Generation>, // the newest that each member knows
}

impl Group {
    fn new(protocol: Protocol, is_sticky: bool) -> Self {
        Self {
            protocol,
            is_sticky,
            members: BTreeSet::new(),
            generation: Generation::default(),
            owner: vec![None; PARTITIONS],
            committed: [0; PARTITIONS],
            heard: BTreeMap::new(),
        }
    }

    fn join(&mut self, member: Member) -> Cost {
        self.members.insert(member);
        self.rebalance()
    }

    /// Dead, says the coordinator. If it is not, it goes on in its old generation.
    fn declare_dead(&mut self, member: Member) -> Cost {
        self.members.remove(&member);
        self.rebalance()
    }

    fn rebalance(&mut self) -> Cost {
        let old = self.owner.clone();
        let new = match self.is_sticky {
            true => sticky(&self.members, &old),
            false => range(&self.members),
        };
        let moves = |p: &Partition| old[*p] != Some(new[*p]);
        let moving: Vec<_> = (0..PARTITIONS).filter(moves).collect();
        let stopping = match self.protocol {
            Protocol::Eager => (0..PARTITIONS).collect(),
            Protocol::Cooperative => moving.clone(),
        };
        // First the old owners let go. Then there are new ones.
        for partition in &stopping {
            self.owner[*partition] = None;
        }
        self.next_generation();
        self.owner = new.into_iter().map(Some).collect();
        self.next_generation();
        Cost {
            stopped: stopping.len(),
            moved: moving.len(),
        }
    }

    fn next_generation(&mut self) {
        self.generation.0 += 1;
        let members = self.members.iter();
        self.heard.extend(members.map(|m| (*m, self.generation)));
    }

    // ANCHOR: commit
    fn commit(
        &mut self,
        (member, generation): (Member, Generation),
        partition: Partition,
        offset: u64,
    ) -> Result<(), Fenced> {
        if generation != self.generation {
            return Err(Fenced::OldGeneration);
        }
        if self.owner[partition] != Some(member) {
            return Err(Fenced::NotTheOwner);
        }
        self.committed[partition] = offset;
        Ok(())
    }
    // ANCHOR_END: commit

    /// What a member says of itself when it commits.
    fn credentials(&self, member: Member) -> (Member, Generation) {
        (member, self.heard.get(&member).copied().unwrap_or_default())
    }

    fn owned_by(&self, member: Member) -> Vec<Partition> {
        let owns = |p: &Partition| self.owner[*p] == Some(member);
        (0..PARTITIONS).filter(owns).collect()
    }
}

/// A database that remembers the newest generation that wrote to a partition.
#[derive(Default)]
struct Store {
    newest: BTreeMap<Partition, Generation>,
}

impl Store {
    fn write(
        &mut self,
        partition: Partition,
        from: Generation,
    ) -> Result<(), Fenced> {
        let newest = self.newest.entry(partition).or_default();
        if from < *newest {
            return Err(Fenced::OldGeneration);
        }
        *newest = from;
        Ok(())
    }
}

type Event = fn(&mut Group) -> Cost;
const EVENTS: [(&str, Event); 5] = [
    ("b joins a", |group| group.join('b')),
    ("c joins", |group| group.join('c')),
    ("d joins", |group| group.join('d')),
    ("b dies", |group| group.declare_dead('b')),
    ("b is back", |group| group.join('b')),
];

fn groups() -> [(&'static str, Group); 3] {
    [
        ("eager, range", Group::new(Protocol::Eager, false)),
        ("eager, sticky", Group::new(Protocol::Eager, true)),
        (
            "cooperative, sticky",
            Group::new(Protocol::Cooperative, true),
        ),
    ]
}

fn main() {
    let mut groups = groups();
    print!("{PARTITIONS} partitions");
    for (name, group) in &mut groups {
        group.join('a');
        print!("   {name:<14}");
    }
    println!("\n{:13}{}\n", "", "   stopped, moved".repeat(3));
    let mut sums = [Cost::default(); 3];
    for (name, happens) in EVENTS {
        print!("{name:<13}");
        for ((_, group), sum) in groups.iter_mut().zip(&mut sums) {
            let Cost { stopped, moved } = happens(group);
            *sum = Cost {
                stopped: sum.stopped + stopped,
                moved: sum.moved + moved,
            };
            print!("   {stopped:>7}, {moved:>5}");
        }
        println!();
    }
    print!("{:<13}", "together");
    for Cost { stopped, moved } in sums {
        print!("   {stopped:>7}, {moved:>5}");
    }
    println!("\n\nb stops for a minute, and the group declares it dead");
    let mut group = Group::new(Protocol::Cooperative, true);
    for member in ['a', 'b', 'c'] {
        group.join(member);
    }
    let (zombie, partition) = (group.credentials('b'), group.owned_by('b')[0]);
    group.declare_dead('b');
    let owner = group.owner[partition].expect("somebody took over");
    let heir = group.credentials(owner);
    let commit = group.commit(heir, partition, 9);
    println!("  {owner} commits partition {partition}: {commit:?}");
    let commit = group.commit(zombie, partition, 5);
    println!("  b wakes up and commits: {commit:?}");
    let mut store = Store::default();
    let write = store.write(partition, zombie.1);
    println!("  b writes to a database before {owner}: {write:?}");
    println!("  {owner} writes: {:?}", store.write(partition, heir.1));
    let write = store.write(partition, zombie.1);
    println!("  b writes after {owner}: {write:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    /// Members come and go at random. Calls `check` after each.
    fn churn(mut check: impl FnMut(&Group, Cost, &[Option<Member>])) {
        for seed in 0..100 {
            for (_, mut group) in groups() {
                let mut rng = Rng::with_seed(seed);
                group.join('a');
                for _ in 0..20 {
                    let old = group.owner.clone();
                    let member = char::from(rng.u8(b'b'..=b'p'));
                    let cost = match group.members.contains(&member) {
                        true => group.declare_dead(member),
                        false => group.join(member),
                    };
                    check(&group, cost, &old);
                }
            }
        }
    }

    #[test]
    fn every_partition_has_one_owner_and_members_have_fair_shares() {
        churn(|group, _, _| {
            assert!(group.owner.iter().all(Option::is_some));
            let share = PARTITIONS / group.members.len();
            let mut owned = 0;
            for member in &group.members {
                let partitions = group.owned_by(*member).len();
                assert!((share..=share + 1).contains(&partitions));
                assert_eq!(group.heard[member], group.generation);
                owned += partitions;
            }
            assert_eq!(owned, PARTITIONS, "none belongs to the dead");
        });
    }

    #[test]
    fn sticky_moves_what_has_no_owner_or_one_with_too_much() {
        churn(|group, cost, old| {
            if !group.is_sticky {
                return;
            }
            // No assignment that is fair can keep more than this.
            let members = group.members.len();
            let had = |m: &Member| old.iter().filter(|o| **o == Some(*m)).count();
            let mut had: Vec<usize> = group.members.iter().map(had).collect();
            had.sort_unstable_by(|a, b| b.cmp(a));
            let fair =
                (0..members).map(|i| (PARTITIONS + members - 1 - i) / members);
            let kept: usize = had.iter().zip(fair).map(|(h, f)| *h.min(&f)).sum();
            assert_eq!(cost.moved, PARTITIONS - kept);
        });
    }

    #[test]
    fn eager_stops_every_partition_and_cooperative_those_that_move() {
        churn(|group, cost, _| match group.protocol {
            Protocol::Eager => assert_eq!(cost.stopped, PARTITIONS),
            Protocol::Cooperative => assert_eq!(cost.stopped, cost.moved),
        });
    }

    #[test]
    fn more_members_than_partitions_are_idle() {
        let mut group = Group::new(Protocol::Cooperative, true);
        for member in 'a'..='p' {
            group.join(member);
        }
        let is_idle = |m: &&Member| group.owned_by(**m).is_empty();
        assert_eq!(
            group.members.iter().filter(is_idle).count(),
            16 - PARTITIONS
        );
    }

    #[test]
    fn a_member_of_an_old_generation_cannot_commit() {
        let mut group = Group::new(Protocol::Cooperative, true);
        group.join('a');
        group.join('b');
        let (zombie, alive) = (group.credentials('b'), group.credentials('a'));
        let partition = group.owned_by('b')[0];
        assert_eq!(group.commit(zombie, partition, 1), Ok(()));
        assert_eq!(group.commit(alive, partition, 7), Err(Fenced::NotTheOwner));
        group.declare_dead('b');
        assert_eq!(
            group.commit(zombie, partition, 2),
            Err(Fenced::OldGeneration)
        );
        assert_eq!(group.commit(group.credentials('a'), partition, 2), Ok(()));
    }

    #[test]
    fn a_store_refuses_a_zombie_only_after_its_heir_has_written() {
        let (mut store, old, new) = (Store::default(), Generation(4), Generation(6));
        assert_eq!(store.write(0, old), Ok(()));
        assert_eq!(store.write(0, new), Ok(()));
        assert_eq!(store.write(0, new), Ok(()), "again");
        assert_eq!(store.write(0, old), Err(Fenced::OldGeneration));
        assert_eq!(store.write(1, old), Ok(()));
    }
}
