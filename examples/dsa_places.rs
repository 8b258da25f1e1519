//! Who is near? A geohash turns a place into a number whose beginning names a
//! cell, so that a sorted map finds all places of a cell; a quadtree cuts space
//! where the places are.
//!
//! Look at `missed`: neighbours that one's own cell does not hold, because they
//! are across its border. With the eight cells around it none is missed. Then at
//! what both read for a place in the city and one in the country: cells are of one
//! size, and those of the quadtree are small where it is crowded.
//!
//! Simplified: the earth is a sphere, and places lie between 66° south and north:
//! towards a pole cells get so narrow that eight neighbours are not enough.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct Place {
    lat: f64,
    lon: f64,
}

const METRES_A_DEGREE: f64 = 111_195.0; // of a sphere of 6,371 km

impl Place {
    const fn new(lat: f64, lon: f64) -> Self {
        Self { lat, lon }
    }

    /// Good for short distances.
    fn metres(self, other: Self) -> f64 {
        let mut lon = (self.lon - other.lon).abs();
        lon = lon.min(360.0 - lon); // the shorter way around
        let middle = ((self.lat + other.lat) / 2.0).to_radians();
        let (x, y) = (lon * middle.cos(), self.lat - other.lat);
        (x * x + y * y).sqrt() * METRES_A_DEGREE
    }
}

// ANCHOR: geohash
const BITS: u32 = 26; // for each of longitude and latitude, as in Redis

/// Column and row of a grid of 2^bits by 2^bits cells.
fn cell(place: Place, bits: u32) -> (u32, u32) {
    let part = |share: f64| {
        let cells = 1_u32 << bits;
        ((share * f64::from(cells)) as u32).min(cells - 1)
    };
    (
        part((place.lon + 180.0) / 360.0),
        part((place.lat + 90.0) / 180.0),
    )
}

/// The bits of both in turn, longitude first.
fn interleave((x, y): (u32, u32), bits: u32) -> u64 {
    (0..bits).rev().fold(0, |code, i| {
        code << 2 | u64::from(x >> i & 1) << 1 | u64::from(y >> i & 1)
    })
}

/// As it is written: five bits a letter.
fn letters(place: Place, len: u32) -> String {
    let alphabet = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let code = interleave(cell(place, 30), 30);
    let letter = |i| alphabet[(code >> (55 - 5 * i)) as usize & 31] as char;
    (0..len.min(12)).map(letter).collect()
}

#[derive(Default)]
struct GeoIndex {
    places: BTreeMap<(u64, usize), Place>, // by code, then by number
}

impl GeoIndex {
    fn insert(&mut self, number: usize, place: Place) {
        let code = interleave(cell(place, BITS), BITS);
        self.places.insert((code, number), place);
    }

    /// Those within so many metres, and how many were looked at. `around` is 0
    /// for one's own cell only, 1 for the eight around it as well.
    fn near(&self, to: Place, metres: f64, around: i64) -> (Vec<usize>, usize) {
        let wide = |bits: u32| {
            let degrees = 360.0 / f64::from(1 << bits); // half of it is the height
            let far = (to.lat.abs() + degrees / 2.0).min(66.6).to_radians();
            degrees / 2.0 * METRES_A_DEGREE * (2.0 * far.cos()).min(1.0) >= metres
        };
        let bits = (2..=BITS).rev().find(|bits| wide(*bits)).unwrap_or(2);
        let ((x, y), cells) = (cell(to, bits), 1 << bits);
        let (mut found, mut looked_at) = (Vec::new(), 0);
        for (dx, dy) in (-around..=around)
            .flat_map(|dx| (-around..=around).map(move |dy| (dx, dy)))
        {
            let row = i64::from(y) + dy;
            if !(0..cells).contains(&row) {
                continue; // beyond a pole
            }
            let column = (i64::from(x) + dx).rem_euclid(cells) as u32;
            let (prefix, rest) =
                (interleave((column, row as u32), bits), 2 * (BITS - bits));
            let codes = (prefix << rest, 0)..((prefix + 1) << rest, 0);
            for ((_, number), place) in self.places.range(codes) {
                looked_at += 1;
                found.extend((place.metres(to) <= metres).then_some(*number));
            }
        }
        (found, looked_at)
    }
}
// ANCHOR_END: geohash

// ANCHOR: quadtree
const PLACES_MAX: usize = 8; // of a leaf
const DEPTH_MAX: u32 = 30; // else two places at one spot would split for ever

/// A rectangle: a leaf with places, or four quarters.
struct Quadtree {
    middle: Place,
    half: Place, // of its height and width
    places: Vec<(usize, Place)>,
    quarters: Vec<Quadtree>,
}

impl Quadtree {
    fn new(middle: Place, half: Place) -> Self {
        let (places, quarters) = (vec![], vec![]);
        Self {
            middle,
            half,
            places,
            quarters,
        }
    }

    fn insert(&mut self, number: usize, place: Place, depth: u32) {
        let (middle, half) = (self.middle, self.half);
        if !self.quarters.is_empty() {
            let (north, east) = (place.lat >= middle.lat, place.lon >= middle.lon);
            let quarter = 2 * usize::from(north) + usize::from(east);
            return self.quarters[quarter].insert(number, place, depth + 1);
        }
        self.places.push((number, place));
        if self.places.len() > PLACES_MAX && depth < DEPTH_MAX {
            let half = Place::new(half.lat / 2.0, half.lon / 2.0);
            for (north, east) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
            {
                let lat = middle.lat + north * half.lat;
                let middle = Place::new(lat, middle.lon + east * half.lon);
                self.quarters.push(Self::new(middle, half));
            }
            for (number, place) in std::mem::take(&mut self.places) {
                self.insert(number, place, depth);
            }
        }
    }

    /// Those within so many metres, and how many were looked at.
    fn near(&self, to: Place, metres: f64, found: &mut Vec<usize>) -> usize {
        let outside = |to: f64, middle: f64, half: f64| (to - middle).abs() - half;
        let degrees = metres / METRES_A_DEGREE;
        let narrow = (to.lat.abs() + degrees).min(89.0).to_radians().cos();
        let lat = outside(to.lat, self.middle.lat, self.half.lat);
        let lon = [-360.0, 0.0, 360.0]
            .map(|turn| outside(to.lon + turn, self.middle.lon, self.half.lon));
        if lat > degrees || lon.iter().all(|lon| lon * narrow > degrees) {
            return 0; // none of its places can be near
        }
        let near = self
            .places
            .iter()
            .filter(|(_, place)| place.metres(to) <= metres);
        found.extend(near.map(|(number, _)| number));
        let quarters = self.quarters.iter();
        self.places.len()
            + quarters.map(|q| q.near(to, metres, found)).sum::<usize>()
    }
}
// ANCHOR_END: quadtree

fn world() -> Quadtree {
    Quadtree::new(Place::new(0.0, 0.0), Place::new(90.0, 180.0))
}

/// Half in one city, half all over the country around it.
fn places(count: usize) -> Vec<Place> {
    let mut rng = fastrand::Rng::with_seed(1);
    let around = |rng: &mut fastrand::Rng, degrees: f64| Place {
        lat: 48.0 + (rng.f64() - 0.5) * degrees,
        lon: 11.0 + (rng.f64() - 0.5) * degrees,
    };
    (0..count)
        .map(|number| around(&mut rng, if number % 2 == 0 { 0.1 } else { 6.0 }))
        .collect()
}

fn main() {
    let (west, east) = (Place::new(51.4779, -0.0001), Place::new(51.4779, 0.0001));
    println!(
        "either side of Greenwich's meridian, {:.0} m apart:",
        west.metres(east)
    );
    println!("  {} and {}", letters(west, 9), letters(east, 9));

    let places = places(20_000);
    let (mut index, mut tree) = (GeoIndex::default(), world());
    for (number, place) in places.iter().enumerate() {
        index.insert(number, *place);
        tree.insert(number, *place, 0);
    }
    println!("\n20,000 places, who is near? 50 questions each");
    println!("                                 near   missed   looked at");
    let (city, country) = (places.iter().step_by(400), places.iter().skip(1));
    let questions: [(&str, Vec<Place>, f64); 2] = [
        ("in the city, within 100 m", city.copied().collect(), 100.0),
        (
            "in the country, 5 km",
            country.step_by(400).copied().collect(),
            5_000.0,
        ),
    ];
    for (name, questions, metres) in questions {
        println!("{name}");
        let (mut near, mut rows) = (0, [("", 0, 0); 3]);
        for to in &questions {
            near += places
                .iter()
                .filter(|place| place.metres(*to) <= metres)
                .count();
            let own = index.near(*to, metres, 0);
            let nine = index.near(*to, metres, 1);
            let mut of_tree = Vec::new();
            let looked_at = tree.near(*to, metres, &mut of_tree);
            for (row, (name, found, looked_at)) in rows.iter_mut().zip([
                ("its own cell", own.0.len(), own.1),
                ("and the eight around it", nine.0.len(), nine.1),
                ("quadtree", of_tree.len(), looked_at),
            ]) {
                *row = (name, row.1 + found, row.2 + looked_at);
            }
        }
        for (name, found, looked_at) in rows {
            println!("  {name:<28} {near:>6} {:>8} {looked_at:>11}", near - found);
        }
        let all = places.len() * questions.len();
        println!("  {:<28} {near:>6} {:>8} {all:>11}", "every place", 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_are_those_that_others_write() {
        let place = Place::new(57.64911, 10.40744);
        assert_eq!(letters(place, 11), "u4pruydqqvj");
        assert_eq!(letters(Place::new(-90.0, -180.0), 4), "0000");
        assert_eq!(letters(Place::new(90.0, 180.0), 4), "zzzz");
    }

    #[test]
    fn nine_cells_and_the_quadtree_find_what_a_look_at_every_place_finds() {
        for seed in 0..150 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let spread = [0.01, 1.0, 40.0][rng.usize(..3)];
            let (lat, lon) = (
                rng.f64() * 132.0 - 66.0,
                [0.0, 179.999, -180.0][rng.usize(..3)],
            );
            let mut random = || {
                let lat = (lat + (rng.f64() - 0.5) * spread).clamp(-66.0, 66.0);
                let lon = lon + (rng.f64() - 0.5) * spread;
                Place {
                    lat,
                    lon: (lon + 180.0).rem_euclid(360.0) - 180.0,
                }
            };
            let places: Vec<Place> = (0..200).map(|_| random()).collect();
            let (mut index, mut tree) = (GeoIndex::default(), world());
            for (number, place) in places.iter().enumerate() {
                index.insert(number, *place);
                tree.insert(number, *place, 0);
            }
            for to in places.iter().step_by(20) {
                let metres = rng.f64() * spread.min(5.0) * 20_000.0;
                let near = |number: &usize| places[*number].metres(*to) <= metres;
                let expected: Vec<usize> = (0..200).filter(near).collect();
                let (mut found, _) = index.near(*to, metres, 1);
                found.sort_unstable();
                assert_eq!(found, expected, "{seed} {to:?} {metres}");
                let mut found = Vec::new();
                tree.near(*to, metres, &mut found);
                found.sort_unstable();
                assert_eq!(found, expected, "{seed} {to:?} {metres}");
            }
        }
    }

    #[test]
    fn a_neighbour_across_the_border_has_another_beginning_and_is_missed() {
        let west = Place::new(51.4779, -0.0001);
        let east = Place::new(51.4779, 0.0001);
        assert!(west.metres(east) < 14.0);
        assert_ne!(letters(west, 1), letters(east, 1));
        let mut index = GeoIndex::default();
        index.insert(1, west);
        assert_eq!(index.near(east, 14.0, 0).0, []);
        assert_eq!(index.near(east, 14.0, 1).0, [1]);
    }

    #[test]
    fn the_date_line_is_a_border_like_any_other() {
        let (fiji, east) = (Place::new(-17.0, 179.99), Place::new(-17.0, -179.99));
        let mut index = GeoIndex::default();
        index.insert(1, fiji);
        assert_eq!(index.near(east, 3_000.0, 1).0, [1]);
    }

    #[test]
    fn towards_a_pole_a_cell_that_is_high_enough_may_be_too_narrow() {
        let wide = 360.0 / 1_024.0; // degrees, and half as high: 19.5 km
        for lat in [0.0, 45.0, 61.0, 65.0, -65.0] {
            let to = Place::new(lat, 3.0 * wide - 1e-4);
            let beyond = Place::new(lat, 4.0 * wide + 1e-4); // two columns on
            let mut index = GeoIndex::default();
            index.insert(1, beyond);
            let metres = 19_500.0;
            let near = to.metres(beyond) <= metres;
            assert_eq!(near, lat.abs() > 60.0);
            assert_eq!(index.near(to, metres, 1).0.len(), usize::from(near));
        }
    }

    #[test]
    fn a_hundred_places_at_one_spot_do_not_split_for_ever() {
        let mut tree = world();
        (0..100).for_each(|number| tree.insert(number, Place::default(), 0));
        let mut found = Vec::new();
        tree.near(Place::default(), 1.0, &mut found);
        assert_eq!(found.len(), 100);
    }
}
