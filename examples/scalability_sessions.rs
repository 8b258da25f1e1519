//! A fourth server joins three: who is logged out?
//!
//! A hundred users in a shop, each with a session. The balancer sends a user to
//! `hash % servers`. Four ways to keep the session: in the server's memory; there
//! too, but with a cookie that names the server; in a store that all servers ask;
//! in a token that the user carries, signed by the servers. Then a server is
//! added, and one dies. Look at `logged out`, and at what each way costs.
//!
//! Simplified: the store and the signing key do not fail. See the last lines for
//! what a token cannot do.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};

type User = u32;

const USERS: User = 100;
const TOKEN_S: u64 = 15 * 60; // how long a token is good for

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Memory,
    Sticky,
    Store,
    Token,
}

// ANCHOR: token
/// `user.expires.signature`: whoever changes a part has to sign it, too.
fn sign(key: &[u8], user: User, expires_s: u64) -> String {
    let text = format!("{user}.{expires_s}");
    format!("{text}.{}", hex(&mac(key, &text).finalize().into_bytes()))
}

/// Whose token it is, if one of our servers signed it and it is still good.
fn verify(key: &[u8], token: &str, now_s: u64) -> Result<User, &'static str> {
    let (text, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let signature = unhex(signature).ok_or("no signature")?;
    // Takes as long for a nearly right signature as for a wrong one.
    mac(key, text)
        .verify_slice(&signature)
        .map_err(|_| "not signed by us")?;
    let (user, expires_s) = text.split_once('.').ok_or("no expiry")?;
    let expires_s: u64 = expires_s.parse().map_err(|_| "no expiry")?;
    if now_s >= expires_s {
        return Err("expired");
    }
    user.parse().map_err(|_| "no user")
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}
// ANCHOR_END: token

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    // As `hex` writes it: an `A` for an `a` would be a second token that is good.
    let digit = |c: char| c.to_digit(16).filter(|_| !c.is_ascii_uppercase());
    let digits: Vec<u8> = text
        .chars()
        .map(|c| Some(digit(c)? as u8))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| {
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect()
    })
}

// ANCHOR: shop
struct Shop {
    way: Way,
    servers: Vec<BTreeSet<User>>, // each with the sessions in its memory
    alive: Vec<bool>,
    store: BTreeSet<User>,
    store_reads: u64,
    key: [u8; 16],
}

/// What a user's browser sends along.
#[derive(Clone, Debug, Default)]
struct Browser {
    server: Option<usize>, // a cookie of the balancer's
    token: Option<String>,
}

impl Shop {
    fn balance(&self, user: User, browser: &Browser) -> usize {
        if let (Way::Sticky, Some(server)) = (self.way, browser.server) {
            if self.alive[server] {
                return server;
            }
        }
        let alive: Vec<usize> = (0..self.servers.len())
            .filter(|server| self.alive[*server])
            .collect();
        alive[user as usize % alive.len()]
    }

    fn log_in(&mut self, user: User, now_s: u64) -> Browser {
        let server = self.balance(user, &Browser::default());
        match self.way {
            Way::Memory | Way::Sticky => drop(self.servers[server].insert(user)),
            Way::Store => drop(self.store.insert(user)),
            Way::Token => {}
        }
        let token = sign(&self.key, user, now_s + TOKEN_S);
        Browser {
            server: Some(server),
            token: (self.way == Way::Token).then_some(token),
        }
    }

    /// Does the server that gets this request know the user?
    fn knows(&mut self, user: User, browser: &Browser, now_s: u64) -> bool {
        let server = self.balance(user, browser);
        match self.way {
            Way::Memory | Way::Sticky => self.servers[server].contains(&user),
            Way::Store => {
                self.store_reads += 1;
                self.store.contains(&user)
            }
            Way::Token => {
                let token = browser.token.as_deref().unwrap_or_default();
                verify(&self.key, token, now_s) == Ok(user)
            }
        }
    }
}
// ANCHOR_END: shop

impl Shop {
    fn new(way: Way) -> Shop {
        Shop {
            way,
            servers: vec![BTreeSet::new(); 3],
            alive: vec![true; 3],
            store: BTreeSet::new(),
            store_reads: 0,
            key: *b"only the servers",
        }
    }

    fn add_server(&mut self) {
        self.servers.push(BTreeSet::new());
        self.alive.push(true);
    }

    /// Everything in its memory is gone.
    fn kill(&mut self, server: usize) {
        self.alive[server] = false;
        self.servers[server].clear();
    }

    fn logged_out(&mut self, browsers: &BTreeMap<User, Browser>) -> usize {
        let gone =
            |(user, browser): &(&User, &Browser)| !self.knows(**user, browser, 60);
        browsers.iter().filter(gone).count()
    }
}

/// Users logged out when a server is added, and when one of three dies; reads of
/// the store for one request of each user.
fn outcome(way: Way) -> (usize, usize, u64) {
    let start = || {
        let mut shop = Shop::new(way);
        let browsers: BTreeMap<User, Browser> = (0..USERS)
            .map(|user| (user, shop.log_in(user, 0)))
            .collect();
        (shop, browsers)
    };
    let (mut shop, browsers) = start();
    shop.add_server();
    let added = shop.logged_out(&browsers);
    let (mut other, browsers) = start();
    other.kill(0);
    (added, other.logged_out(&browsers), shop.store_reads)
}

fn main() {
    println!("of {USERS} users logged out  server added  server dies  store reads");
    for way in [Way::Memory, Way::Sticky, Way::Store, Way::Token] {
        let (added, died, reads) = outcome(way);
        println!(
            "{:24}  {added:12}  {died:11}  {reads:11}",
            format!("{way:?}")
        );
    }

    let mut shop = Shop::new(Way::Token);
    let browser = shop.log_in(7, 0);
    let token = browser.token.clone().unwrap_or_default();
    let (head, signature) = token.split_at(token.len() - 56);
    println!("\ntoken  {head}... ({} more)", signature.len());
    let forged = token.replacen("7.", "8.", 1);
    println!("forged {:?}", verify(&shop.key, &forged, 60));
    println!(
        "logged out, stolen before: known {}",
        shop.knows(7, &browser, 60)
    );
    println!(
        "fifteen minutes later:     known {}",
        shop.knows(7, &browser, TOKEN_S)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_loses_three_quarters_of_the_sessions_when_a_server_is_added() {
        // 100 users: `u % 3 == u % 4` for the first 3 of each 12.
        assert_eq!(outcome(Way::Memory).0, 100 - 27);
    }

    #[test]
    fn a_sticky_cookie_loses_nobody_until_a_server_dies() {
        assert_eq!(outcome(Way::Sticky), (0, 34, 0));
    }

    #[test]
    fn no_request_goes_to_a_dead_server() {
        for way in [Way::Memory, Way::Sticky, Way::Store, Way::Token] {
            let mut shop = Shop::new(way);
            let browsers: Vec<Browser> =
                (0..USERS).map(|user| shop.log_in(user, 0)).collect();
            shop.kill(0);
            for (user, browser) in (0..USERS).zip(&browsers) {
                assert!(shop.alive[shop.balance(user, browser)], "{way:?} {user}");
            }
        }
    }

    #[test]
    fn a_stateless_server_can_come_and_go() {
        for way in [Way::Store, Way::Token] {
            let (added, died, _) = outcome(way);
            assert_eq!((added, died), (0, 0), "{way:?}");
        }
        assert_eq!(outcome(Way::Store).2, u64::from(USERS));
        assert_eq!(outcome(Way::Token).2, 0);
    }

    #[test]
    fn a_changed_token_is_refused_wherever_it_is_changed() {
        let token = sign(b"key", 7, 1_000);
        assert_eq!(verify(b"key", &token, 999), Ok(7));
        for at in 0..token.len() {
            for byte in (b' '..=b'~').filter(|byte| *byte != token.as_bytes()[at]) {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = byte;
                let changed = String::from_utf8(bytes).expect("ASCII");
                assert!(verify(b"key", &changed, 999).is_err(), "{changed}");
            }
            assert!(verify(b"key", &token[..at], 999).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_token_of_another_key_or_time_is_refused() {
        let token = sign(b"key", 7, 1_000);
        assert_eq!(verify(b"other", &token, 999), Err("not signed by us"));
        assert_eq!(verify(b"key", &token, 1_000), Err("expired"));
        for nonsense in ["", ".", "7.1000", "7.1000.", "7.1000.zz", "é.1.2"] {
            assert!(verify(b"key", nonsense, 0).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn logging_out_does_not_take_a_token_back() {
        let mut shop = Shop::new(Way::Token);
        let browser = shop.log_in(7, 0);
        shop.store.remove(&7);
        assert!(shop.knows(7, &browser, TOKEN_S - 1));
        assert!(!shop.knows(7, &browser, TOKEN_S));
    }
}
