//! Three etcd members on loopback, one of which can be cut off from the others.
//!
//! A client reaches each member directly, cut off or not: only the members' links to
//! each other are cut. Keys and values travel as JSON, through the gateway that etcd
//! has beside gRPC.
//!
//! May know of `launch`, `cut`, `port` and `http`; prints nothing.

use crate::cut::{Member, Network};
use crate::http;
use crate::launch::{Launch, Server};
use crate::port::Port;
use crate::program::ETCD;
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use serde_json::{json, Value};
use std::time::Duration;

/// How long the cluster may take to come to a state.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many members there are.
pub const MEMBERS: usize = 3;

/// How a read is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// etcd's default: the member asks the leader, and that a majority, whether it
    /// is up to date.
    Linearizable,
    /// The member answers from what it has.
    Serializable,
}

/// What a member said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It did what was asked.
    Done(T),
    /// It said that it cannot, or not in time.
    Refused,
}

/// A lease's number, as etcd writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease(String);

/// Counts the changes of the whole store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

/// Three members and the links between them.
pub struct Cluster {
    servers: Vec<Server>,
    network: Network,
    ids: Vec<String>,
    _peers: Vec<Port>,
}

impl Cluster {
    /// Starts three members and waits until they have elected a leader.
    ///
    /// # Errors
    /// As [`Launch::start`], and when they elect none.
    pub fn start() -> Result<Cluster> {
        let peers =
            (0..MEMBERS).map(|_| Port::reserve()).collect::<Result<Vec<_>>>()?;
        let targets: Vec<_> = peers.iter().map(Port::addr).collect();
        let network = Network::start(&targets, "X-Server-From")?;
        let mut links = Vec::new();
        for member in 0..MEMBERS {
            links.push(format!("n{member}=http://{}", network.addr(member)?));
        }
        let mut servers = Vec::new();
        for (member, peer) in peers.iter().enumerate() {
            let server = Launch::new(ETCD)
                .set("NAME", format!("n{member}"))
                .set("PEER", peer.addr())
                .set("LINK", network.addr(member)?)
                .set("CLUSTER", links.join(","))
                .args([
                    "--name=${NAME}",
                    "--data-dir=${FOLDER}/data",
                    "--listen-client-urls=http://127.0.0.1:${PORT}",
                    "--advertise-client-urls=http://127.0.0.1:${PORT}",
                    "--listen-peer-urls=http://${PEER}",
                    "--initial-advertise-peer-urls=http://${LINK}",
                    "--initial-cluster=${CLUSTER}",
                    "--initial-cluster-state=new",
                    "--heartbeat-interval=50",
                    "--election-timeout=500",
                ])
                .start()?;
            servers.push(server);
        }
        let mut cluster =
            Cluster { servers, network, ids: Vec::new(), _peers: peers };
        cluster.wait_for_leader(&[0, 1, 2])?;
        for member in 0..MEMBERS {
            cluster.ids.push(cluster.status(member)?.0);
        }
        // etcd writes a member's number in hexadecimal where members talk.
        let names = cluster.ids.iter().map(|id| {
            let number: u64 = id.parse().context("a member's number")?;
            Ok(format!("{number:x}"))
        });
        cluster.network.set_names(names.collect::<Result<_>>()?);
        Ok(cluster)
    }

    /// Waits until these members agree on a leader among them, and returns it.
    ///
    /// # Errors
    /// When they do not.
    pub fn wait_for_leader(&self, members: &[Member]) -> Result<Member> {
        let mut leader = None;
        wait_until(PATIENCE, || {
            let statuses = members.iter().map(|member| self.status(*member));
            let Ok(statuses) = statuses.collect::<Result<Vec<_>>>() else {
                return false;
            };
            let named = &statuses[0].1;
            let agree = statuses.iter().all(|(_, other)| other == named);
            let among = statuses.iter().position(|(id, _)| id == named);
            leader = among.filter(|_| agree).map(|place| members[place]);
            leader.is_some()
        });
        leader.with_context(|| {
            format!("no leader among {members:?}: {}", self.servers[0].log())
        })
    }

    /// Cuts `member` off from the two others, for clients it stays reachable.
    pub fn cut_off(&self, member: Member) {
        self.network.cut(member);
    }

    /// Ends the cut.
    pub fn mend(&self) {
        self.network.mend();
    }

    /// Asks `member` to write.
    ///
    /// # Errors
    /// When it answers neither yes nor no.
    pub fn write(
        &self,
        member: Member,
        key: &str,
        value: &str,
    ) -> Result<Answer<()>> {
        let (key, value) = (BASE64.encode(key), BASE64.encode(value));
        let answer =
            self.ask(member, "/v3/kv/put", &json!({ "key": key, "value": value }))?;
        Ok(match answer {
            Answer::Done(_) => Answer::Done(()),
            Answer::Refused => Answer::Refused,
        })
    }

    /// Asks `member` to read; `None` where it has no such key.
    ///
    /// # Errors
    /// When it answers neither a value nor no.
    pub fn read(
        &self,
        member: Member,
        key: &str,
        how: Read,
    ) -> Result<Answer<Option<String>>> {
        let serializable = how == Read::Serializable;
        let question =
            json!({ "key": BASE64.encode(key), "serializable": serializable });
        let Answer::Done(found) = self.ask(member, "/v3/kv/range", &question)?
        else {
            return Ok(Answer::Refused);
        };
        let Some(value) = found["kvs"][0]["value"].as_str() else {
            return Ok(Answer::Done(None));
        };
        let bytes = BASE64.decode(value).context("a value in base 64")?;
        Ok(Answer::Done(Some(String::from_utf8(bytes).context("a text")?)))
    }

    /// Asks for a lease of so many seconds, which nobody will renew.
    ///
    /// # Errors
    /// When `member` grants none.
    pub fn lease(&self, member: Member, seconds: u32) -> Result<Lease> {
        let question = json!({ "TTL": seconds, "ID": 0 });
        match self.ask(member, "/v3/lease/grant", &question)? {
            Answer::Done(granted) => match granted["ID"].as_str() {
                Some(id) => Ok(Lease(id.to_owned())),
                None => bail!("member {member} grants no lease: {granted}"),
            },
            Answer::Refused => bail!("member {member} refuses a lease"),
        }
    }

    /// Writes `key` under `lease` if nobody has it. Returns the revision at which
    /// etcd has made the key, larger with each new one; `None` when it is taken.
    ///
    /// # Errors
    /// When `member` answers neither yes nor no.
    pub fn acquire(
        &self,
        member: Member,
        key: &str,
        holder: &str,
        lease: &Lease,
    ) -> Result<Option<Revision>> {
        let (key, holder) = (BASE64.encode(key), BASE64.encode(holder));
        let absent =
            json!({ "target": "CREATE", "key": key, "createRevision": "0" });
        let put = json!({ "key": key, "value": holder, "lease": lease.0 });
        self.transact(member, &absent, &put)
    }

    /// Writes `value` if `lock` is still the key that was made at `token`.
    ///
    /// # Errors
    /// When `member` answers neither yes nor no.
    pub fn write_if_holder(
        &self,
        member: Member,
        (lock, token): (&str, Revision),
        key: &str,
        value: &str,
    ) -> Result<bool> {
        let held = json!({
            "target": "CREATE",
            "key": BASE64.encode(lock),
            "createRevision": token.0.to_string(),
        });
        let put =
            json!({ "key": BASE64.encode(key), "value": BASE64.encode(value) });
        Ok(self.transact(member, &held, &put)?.is_some())
    }

    /// Carries out `put` if `compare` holds, and returns the revision then.
    fn transact(
        &self,
        member: Member,
        compare: &Value,
        put: &Value,
    ) -> Result<Option<Revision>> {
        let question =
            json!({ "compare": [compare], "success": [{ "requestPut": put }] });
        let Answer::Done(answer) = self.ask(member, "/v3/kv/txn", &question)? else {
            bail!("member {member} refuses a transaction");
        };
        if answer["succeeded"] != json!(true) {
            return Ok(None);
        }
        let revision = answer["header"]["revision"].as_str().unwrap_or_default();
        Ok(Some(Revision(revision.parse().context("a revision")?)))
    }

    /// A member's number and that of its leader, as etcd writes them.
    fn status(&self, member: Member) -> Result<(String, String)> {
        let Answer::Done(status) =
            self.ask(member, "/v3/maintenance/status", &json!({}))?
        else {
            bail!("member {member} does not say how it is");
        };
        let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let own = field(&status["header"]["member_id"]);
        ensure!(!own.is_empty(), "member {member} does not say who it is: {status}");
        Ok((own, field(&status["leader"])))
    }

    fn ask(
        &self,
        member: Member,
        path: &str,
        question: &Value,
    ) -> Result<Answer<Value>> {
        let addr = self.servers[member].addr();
        let response = http::post_json(addr, path, &question.to_string())?;
        match response.status {
            200 => Ok(Answer::Done(serde_json::from_str(&response.body)?)),
            // "request timed out", "no leader": gRPC's DEADLINE_EXCEEDED and
            // UNAVAILABLE as HTTP statuses. The second text is the same without one.
            408 | 503 | 504 => Ok(Answer::Refused),
            500 if response.body.contains("context deadline exceeded") => {
                Ok(Answer::Refused)
            }
            status => bail!("{path} at {addr}: {status} {}", response.body),
        }
    }
}
