//! A reader puts an old value back after the writer's delete: in how many orders?
//!
//! A reader misses, reads the database, puts what it found into the cache. A writer
//! writes the database, then the cache. First the fatal order of their steps, with
//! and without a lease. Then every order of several readers and writers: `stale`
//! are those at whose end the cache holds another value than the database, for as
//! long as the entry lives.
//!
//! Simplified: one key, nobody dies, each step is atomic. A version is a number
//! that the database counts up with each write.

type Version = u32;

// ANCHOR: methods
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Delete,    // a writer deletes the entry
    Put,       // a writer puts its own value
    Compare,   // delete; a reader's put must be newer than what is in the cache
    Tombstone, // the same, but a delete leaves its version behind
    Lease,     // delete; a put needs the lease of its miss, and a delete voids it
}
// ANCHOR_END: methods

#[derive(Clone, Debug, Default)]
struct Cache {
    value: Option<Version>,
    newest: Version, // of tombstones
    lease: Option<usize>,
}

// ANCHOR: cache
impl Cache {
    /// A miss gives the reader the only valid lease.
    fn get(&mut self, reader: usize) -> Option<Version> {
        if self.value.is_none() && self.lease.is_none() {
            self.lease = Some(reader);
        }
        self.value
    }

    fn put(&mut self, method: Method, who: usize, value: Version) -> bool {
        let allowed = match method {
            Method::Delete | Method::Put => true,
            Method::Compare => self.value.is_none_or(|old| value > old),
            Method::Tombstone => {
                value >= self.newest && self.value.is_none_or(|old| value > old)
            }
            Method::Lease => self.lease.take_if(|holder| *holder == who).is_some(),
        };
        if allowed {
            self.value = Some(value);
        }
        allowed
    }

    fn delete(&mut self, version: Version) {
        (self.value, self.lease) = (None, None);
        self.newest = self.newest.max(version);
    }
}
// ANCHOR_END: cache

#[derive(Clone, Copy, Debug)]
enum Role {
    Reader,
    Writer,
}

/// Where somebody stands, and what they know.
#[derive(Clone, Copy, Debug)]
struct Actor {
    role: Role,
    done: u32,
    value: Version,
}

#[derive(Clone, Debug)]
struct World {
    method: Method,
    db: Version,
    cache: Cache,
    actors: Vec<Actor>,
}

impl World {
    fn new(method: Method, readers: usize, writers: usize) -> World {
        let actor = |role| Actor {
            role,
            done: 0,
            value: 0,
        };
        let mut actors = vec![actor(Role::Reader); readers];
        actors.extend(vec![actor(Role::Writer); writers]);
        World {
            method,
            db: 1,
            cache: Cache::default(),
            actors,
        }
    }

    fn finished(&self, who: usize) -> bool {
        let Actor { role, done, .. } = self.actors[who];
        match role {
            Role::Reader => done == 3,
            Role::Writer => done == 2,
        }
    }

    // ANCHOR: step
    /// The next step of `who`, and what an onlooker sees of it.
    fn step(&mut self, who: usize) -> String {
        let actor = &mut self.actors[who];
        actor.done += 1;
        match (actor.role, actor.done, self.method) {
            (Role::Reader, 1, _) => match self.cache.get(who) {
                Some(hit) => {
                    actor.done = 3;
                    format!("get: v{hit}")
                }
                None => "get: nothing".into(),
            },
            (Role::Reader, 2, _) => {
                actor.value = self.db;
                format!("read the database: v{}", self.db)
            }
            (Role::Reader, _, method) => {
                let put = self.cache.put(method, who, actor.value);
                let refused = if put { "" } else { ", refused" };
                format!("put v{}{refused}", actor.value)
            }
            (Role::Writer, 1, _) => {
                self.db += 1;
                actor.value = self.db;
                format!("write the database: v{}", self.db)
            }
            (Role::Writer, _, Method::Put) => {
                self.cache.put(Method::Put, who, actor.value);
                format!("put v{}", actor.value)
            }
            (Role::Writer, ..) => {
                self.cache.delete(actor.value);
                "delete".into()
            }
        }
    }
    // ANCHOR_END: step
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    orders: u32,
    stale: u32,
    empty: u32, // nothing was cached: safe, and the next reader misses
}

// ANCHOR: every
/// Every order in which the actors' steps can happen.
fn every_order(world: &World, count: &mut Count) {
    let mut all_finished = true;
    for who in 0..world.actors.len() {
        if !world.finished(who) {
            all_finished = false;
            let mut world = world.clone();
            world.step(who);
            every_order(&world, count);
        }
    }
    if all_finished {
        count.orders += 1;
        count.stale += u32::from(world.cache.value.is_some_and(|v| v != world.db));
        count.empty += u32::from(world.cache.value.is_none());
    }
}
// ANCHOR_END: every

fn count(method: Method, readers: usize, writers: usize) -> Count {
    let mut count = Count::default();
    every_order(&World::new(method, readers, writers), &mut count);
    count
}

const FATAL_ORDER: [usize; 5] = [0, 0, 1, 1, 0];

fn transcript(method: Method) -> (Vec<String>, World) {
    let mut world = World::new(method, 1, 1);
    let lines = FATAL_ORDER.map(|who| {
        let name = ["reader", "writer"][who];
        format!("{name}  {}", world.step(who))
    });
    (lines.to_vec(), world)
}

fn main() {
    for (title, method) in [("delete", Method::Delete), ("lease", Method::Lease)] {
        let (lines, world) = transcript(method);
        println!("{title}:");
        for line in lines {
            println!("  {line}");
        }
        let cache = world.cache.value.map(|version| format!("v{version}"));
        let cache = cache.unwrap_or("nothing".into());
        println!("  database v{}, cache {cache}\n", world.db);
    }
    println!("            1 reader, 1 writer    2 readers, 2 writers");
    println!("            orders stale empty    orders stale empty");
    for (name, method) in [
        ("delete", Method::Delete),
        ("put", Method::Put),
        ("compare", Method::Compare),
        ("tombstone", Method::Tombstone),
        ("lease", Method::Lease),
    ] {
        let mut line = format!("{name:<12}");
        for (readers, writers) in [(1, 1), (2, 2)] {
            let Count {
                orders,
                stale,
                empty,
            } = count(method, readers, writers);
            line += &format!("{orders:>6} {stale:>5} {empty:>5}    ");
        }
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_and_one_writer_meet_in_ten_orders_and_one_of_them_is_fatal() {
        let count = count(Method::Delete, 1, 1);
        assert_eq!((count.orders, count.stale), (10, 1));
        let (_, world) = transcript(Method::Delete);
        assert_eq!((world.db, world.cache.value), (2, Some(1)));
    }

    #[test]
    fn two_writers_that_put_leave_the_older_value_without_any_reader() {
        let mut world = World::new(Method::Put, 0, 2);
        for who in [0, 1, 1, 0] {
            world.step(who);
        }
        assert_eq!((world.db, world.cache.value), (3, Some(2)));
        assert_eq!(count(Method::Delete, 0, 2).stale, 0);
    }

    #[test]
    fn to_compare_versions_is_no_cure_because_a_delete_leaves_nothing_to_compare() {
        assert_eq!(count(Method::Compare, 1, 1).stale, 1);
    }

    #[test]
    fn a_lease_and_a_tombstone_leave_nothing_stale_in_any_order() {
        for method in [Method::Lease, Method::Tombstone] {
            for (readers, writers) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)] {
                let count = count(method, readers, writers);
                assert_eq!(count.stale, 0, "{method:?} {readers} {writers}");
                assert!(count.orders > count.empty, "something is cached");
            }
        }
    }

    #[test]
    fn a_lease_refuses_more_puts_than_it_must() {
        let (lease, tombstone) = (Method::Lease, Method::Tombstone);
        assert!(count(lease, 1, 1).empty > count(tombstone, 1, 1).empty);
    }

    #[test]
    fn while_a_lease_is_out_a_second_reader_gets_none() {
        let mut world = World::new(Method::Lease, 2, 0);
        for who in [0, 1, 1] {
            world.step(who);
        }
        assert_eq!(world.step(1), "put v1, refused");
        world.step(0);
        assert_eq!(world.step(0), "put v1");
    }

    #[test]
    fn a_reader_that_reads_before_the_write_gets_the_old_value_whatever_the_cache() {
        let (lines, _) = transcript(Method::Lease);
        assert!(lines[1].ends_with("v1"), "refusing a put changes no answer");
    }
}
