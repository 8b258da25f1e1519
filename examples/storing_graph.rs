//! "Who is at most so many friendships away from Ada?", asked in three ways: by a
//! recursive SQL query, along adjacency lists, and with a matrix of bits.
//!
//! All answers are the same people. Look at how the work grows with the distance,
//! and at the SQL that says UNION ALL where it should say UNION.
//!
//! Simplified: everything is in memory. An edge followed costs SQL a step in an
//! index and the lists a step in an array; on a disk the difference is larger.

use fastrand::Rng;
use rusqlite::{params, Connection};
use std::collections::BTreeSet;

const PEOPLE: usize = 1_000;
const FRIENDSHIPS: usize = 3_000; // so each has six friends on average
const ADA: usize = 0;
const WORD_BITS: usize = 64;
const WORDS: usize = PEOPLE.div_ceil(WORD_BITS);

type Edges = BTreeSet<(usize, usize)>;

struct Answer {
    people: BTreeSet<usize>,
    work: usize,
}

/// Random friendships, each in both directions.
fn friendships(seed: u64) -> Edges {
    let mut rng = Rng::with_seed(seed);
    let mut edges = Edges::new();
    while edges.len() < 2 * FRIENDSHIPS {
        let (a, b) = (rng.usize(..PEOPLE), rng.usize(..PEOPLE));
        if a != b {
            edges.extend([(a, b), (b, a)]);
        }
    }
    edges
}

fn table(edges: &Edges) -> rusqlite::Result<Connection> {
    let mut db = Connection::open_in_memory()?;
    let all_at_once = db.transaction()?;
    all_at_once.execute_batch(
        "CREATE TABLE friend (
             a INTEGER, b INTEGER, PRIMARY KEY (a, b)
         ) WITHOUT ROWID",
    )?;
    let mut insert = all_at_once.prepare("INSERT INTO friend VALUES (?1, ?2)")?;
    for (a, b) in edges {
        insert.execute(params![*a as i64, *b as i64])?;
    }
    drop(insert);
    all_at_once.commit()?;
    Ok(db)
}

// ANCHOR: sql
/// The work: how many rows of `friend` are joined.
fn by_sql(db: &Connection, steps: usize, union: &str) -> rusqlite::Result<Answer> {
    let walk = format!(
        "WITH RECURSIVE walk (person, steps) AS (
             VALUES (?1, 0)
             {union}
             SELECT friend.b, walk.steps + 1
             FROM walk JOIN friend ON friend.a = walk.person
             WHERE walk.steps < ?2)"
    );
    let answer = format!("{walk} SELECT DISTINCT person FROM walk");
    let joined = format!(
        "{walk} SELECT count(*) FROM walk JOIN friend ON friend.a = walk.person
         WHERE walk.steps < ?2"
    );
    let limits = params![ADA as i64, steps as i64];
    let mut answer = db.prepare(&answer)?;
    let person = |row: &rusqlite::Row| row.get::<_, i64>(0);
    let people = answer.query_map(limits, person)?.map(|p| Ok(p? as usize));
    Ok(Answer {
        people: people.collect::<rusqlite::Result<_>>()?,
        work: db.query_row(&joined, limits, person)? as usize,
    })
}
// ANCHOR_END: sql

// ANCHOR: lists
/// The work: how many entries of lists are looked at.
fn by_lists(lists: &[Vec<usize>], steps: usize) -> Answer {
    let (mut people, mut work) = (BTreeSet::from([ADA]), 0);
    let mut frontier = vec![ADA];
    for _ in 0..steps {
        let mut next = Vec::new();
        for friend in frontier.iter().flat_map(|person| &lists[*person]) {
            work += 1;
            if people.insert(*friend) {
                next.push(*friend); // seen for the first time
            }
        }
        frontier = next;
    }
    Answer { people, work }
}
// ANCHOR_END: lists

// ANCHOR: matrix
type Bits = [u64; WORDS];

fn ones(bits: &Bits) -> impl Iterator<Item = usize> + '_ {
    (0..PEOPLE).filter(|i| bits[i / WORD_BITS] >> (i % WORD_BITS) & 1 == 1)
}

/// Row i of the matrix has a one for each friend of i. The work: how many words
/// of 64 bits are combined.
fn by_matrix(matrix: &[Bits], steps: usize) -> Answer {
    let mut reached: Bits = [0; WORDS];
    reached[ADA / WORD_BITS] |= 1 << (ADA % WORD_BITS);
    let (mut frontier, mut work) = (reached, 0);
    for _ in 0..steps {
        let mut next = [0; WORDS];
        for person in ones(&frontier) {
            for (word, friends) in next.iter_mut().zip(&matrix[person]) {
                *word |= friends;
                work += 1;
            }
        }
        for word in 0..WORDS {
            frontier[word] = next[word] & !reached[word];
            reached[word] |= next[word];
        }
    }
    let people = ones(&reached).collect();
    Answer { people, work }
}
// ANCHOR_END: matrix

/// The same friendships, stored three times.
struct Stored {
    table: Connection,
    lists: Vec<Vec<usize>>,
    matrix: Vec<Bits>,
}

fn stored(seed: u64) -> rusqlite::Result<Stored> {
    let edges = friendships(seed);
    let mut lists = vec![Vec::new(); PEOPLE];
    let mut matrix = vec![[0; WORDS]; PEOPLE];
    for (a, b) in &edges {
        lists[*a].push(*b);
        matrix[*a][b / WORD_BITS] |= 1 << (b % WORD_BITS);
    }
    let table = table(&edges)?;
    Ok(Stored {
        table,
        lists,
        matrix,
    })
}

fn all_ways(stored: &Stored, steps: usize) -> rusqlite::Result<[Answer; 4]> {
    Ok([
        by_sql(&stored.table, steps, "UNION ALL")?,
        by_sql(&stored.table, steps, "UNION")?,
        by_lists(&stored.lists, steps),
        by_matrix(&stored.matrix, steps),
    ])
}

fn main() -> rusqlite::Result<()> {
    let stored = stored(1)?;
    println!("{PEOPLE} people, {FRIENDSHIPS} friendships\n");
    println!("                 edges followed                 words");
    println!("steps  people    UNION ALL    UNION    lists    matrix");
    for steps in 1..=6 {
        let [all, union, lists, matrix] = all_ways(&stored, steps)?;
        let people = lists.people.len() - 1; // without Ada
        let (all, union, lists) = (all.work, union.work, lists.work);
        let words = matrix.work;
        println!(
            "{steps:>5} {people:>7} {all:>12} {union:>8} {lists:>8} {words:>9}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_friendship_goes_both_ways() {
        let edges = friendships(1);
        assert_eq!(edges.len(), 2 * FRIENDSHIPS);
        assert!(edges.iter().all(|(a, b)| edges.contains(&(*b, *a))));
    }

    #[test]
    fn all_ways_find_the_same_people() -> rusqlite::Result<()> {
        for seed in 1..=3 {
            let stored = stored(seed)?;
            for steps in 0..5 {
                let [first, rest @ ..] = all_ways(&stored, steps)?;
                assert!(rest.iter().all(|way| way.people == first.people));
            }
        }
        Ok(())
    }

    #[test]
    fn lists_follow_an_edge_once_and_union_all_once_a_path() -> rusqlite::Result<()>
    {
        for seed in 1..=2 {
            let [all, union, lists, _] = all_ways(&stored(seed)?, 6)?;
            assert!(lists.work <= 2 * FRIENDSHIPS);
            assert!(lists.work < union.work && union.work * 4 < all.work);
        }
        Ok(())
    }
}
