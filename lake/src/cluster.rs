//! Ballista, DataFusion's distributed engine: a scheduler and some executors on
//! 127.0.0.1, and what became of a query there.
//!
//! All run in this process, and speak with each other as they would across machines:
//! the client sends the plan to the scheduler, the scheduler sends tasks to the
//! executors (gRPC), and executors fetch each other's results (Arrow Flight). Each
//! executor has a folder of its own and knows no other's.
//!
//! May know of `ballista`; prints nothing.

use anyhow::{Context, Result, bail};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_executor::executor_process::{
    ExecutorProcessConfig, start_executor_process,
};
use ballista_executor::metrics::ExecutorMetricCollectionPolicy;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{
    create_scheduler, start_grpc_service_with_listener,
};
use ballista_scheduler::state::execution_stage::{ExecutionStage, SuccessfulStage};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::displayable;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How many tasks an executor runs at once.
const SLOTS: usize = 8;
/// How long the executors may take to register, and the scheduler to file a job.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

/// A scheduler and its executors. They end, and their folders with them, when this is
/// dropped.
pub struct Cluster {
    scheduler: SocketAddr,
    state: BallistaCluster,
    services: Vec<JoinHandle<()>>,
    _folders: Vec<TempDir>,
}

impl Cluster {
    /// Starts the scheduler and so many executors, and waits until they are
    /// registered. To be called within a Tokio runtime of several threads.
    ///
    /// # Errors
    /// When one of them does not start, or does not register in time.
    pub async fn start(executors: usize) -> Result<Cluster> {
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let scheduler = listener.local_addr()?;
        let state = BallistaCluster::new_memory(
            scheduler.to_string(),
            Arc::new(default_session_builder),
            Arc::new(default_config_producer),
        );
        // Pushed tasks and turns: so the tasks of a stage are dealt out evenly, and
        // who gets how many does not depend on who is quicker.
        let config = SchedulerConfig {
            external_host: scheduler.ip().to_string(),
            bind_port: scheduler.port(),
            scheduling_policy: TaskSchedulingPolicy::PushStaged,
            task_distribution: TaskDistributionPolicy::RoundRobin,
            ..SchedulerConfig::default()
        };
        let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(
            state.clone(),
            Arc::new(config),
        );
        let server = server.await.context("set up the scheduler")?;
        let mut cluster =
            Cluster { scheduler, state, services: Vec::new(), _folders: Vec::new() };
        cluster.services.push(tokio::spawn(async move {
            // Ends only with an error, and then the client sees one.
            start_grpc_service_with_listener(listener, server).await.ok();
        }));
        for number in 1..=executors {
            cluster.start_executor(number)?;
        }
        let registered = async {
            while cluster.registered().await < executors {
                sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, registered).await.context("wait for the executors")?;
        Ok(cluster)
    }

    /// A session whose queries run on the cluster. A task is given one partition.
    ///
    /// # Errors
    /// When the scheduler's address is refused.
    pub async fn session(&self, partitions: usize) -> Result<SessionContext> {
        let config = SessionConfig::new_with_ballista()
            .with_target_partitions(partitions)
            .set_usize("ballista.scheduler.max_partitions_per_task", 1);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .build();
        let url = format!("df://{}", self.scheduler);
        Ok(SessionContext::remote_with_state(&url, state).await?)
    }

    /// The stages of the one job that ran, in the order of their numbers.
    ///
    /// # Errors
    /// When there was none or more than one, or it has not succeeded.
    pub async fn stages(&self) -> Result<Vec<Stage>> {
        let jobs = self.state.job_state();
        let ids: Vec<_> = jobs.get_all_jobs().await?.into_iter().collect();
        let [job] = ids.as_slice() else { bail!("{} jobs, not 1", ids.len()) };
        // The client has its answer a moment before the scheduler files the job.
        let filed = async {
            loop {
                match jobs.get_execution_graph(job).await {
                    Ok(None) => sleep(PAUSE).await,
                    other => break other,
                }
            }
        };
        let graph = timeout(PATIENCE, filed).await.context("wait for the job")??;
        let graph = graph.context("the job has no stages")?;
        let mut stages = Vec::new();
        for stage in graph.stages().values() {
            match stage {
                ExecutionStage::Successful(stage) => stages.push(Stage::of(stage)),
                other => bail!("a stage is {}", other.variant_name()),
            }
        }
        stages.sort_by_key(|stage| stage.number);
        Ok(stages)
    }

    async fn registered(&self) -> usize {
        self.state.cluster_state().registered_executor_metadata().await.len()
    }

    fn start_executor(&mut self, number: usize) -> Result<()> {
        let folder = tempfile::tempdir().context("make an executor's folder")?;
        let work_dir =
            folder.path().to_str().context("a folder that is not UTF-8")?;
        let [port, grpc_port] = free_ports()?;
        let config = ExecutorProcessConfig {
            executor_id: format!("executor {number}"),
            external_host: Some(Ipv4Addr::LOCALHOST.to_string()),
            port,
            grpc_port,
            scheduler_host: self.scheduler.ip().to_string(),
            scheduler_port: self.scheduler.port(),
            vcores: SLOTS,
            task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
            work_dir: Some(work_dir.to_owned()),
            metric_collection_policy: ExecutorMetricCollectionPolicy::Off,
            memory_pool_size: Some(0), // without limit
            override_function_registry: Some(Arc::new((&functions()).into())),
            ..ExecutorProcessConfig::default()
        };
        self.services.push(tokio::spawn(async move {
            // If it fails, it is not registered, and the start fails.
            start_executor_process(Arc::new(config)).await.ok();
        }));
        self._folders.push(folder);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for service in &self.services {
            service.abort();
        }
    }
}

/// All functions that the client's SQL may name. A plan names them; an executor that
/// does not know a name refuses the task.
fn functions() -> SessionState {
    SessionStateBuilder::new().with_default_features().build()
}

/// Two ports that nobody listens on. An executor wants to be told them in advance.
fn free_ports() -> Result<[u16; 2]> {
    let listen =
        || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a port");
    let (a, b) = (listen()?, listen()?);
    Ok([a.local_addr()?.port(), b.local_addr()?.port()])
}

/// What became of a stage: a part of the plan that runs without a shuffle in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its number, from 0; a stage reads files, or what earlier stages handed on.
    pub number: usize,
    /// How many tasks each executor ran, by its name.
    pub tasks: BTreeMap<String, usize>,
    /// How many rows its tasks handed on, to the next stage or to the client.
    pub rows: usize,
    /// The columns whose hash decides which task of the next stage gets a row; empty
    /// where there is only one.
    pub divided_by: Vec<String>,
    /// How many pieces of earlier results its tasks fetched from another executor's
    /// folder, over the network. A reader that merges sorted pieces reports none.
    pub remote_pieces: usize,
}

impl Stage {
    fn of(stage: &SuccessfulStage) -> Stage {
        let mut tasks = BTreeMap::new();
        for task in &stage.task_infos {
            if let Status::Successful(done) = &task.task_status {
                *tasks.entry(done.executor_id.clone()).or_default() += 1;
            }
        }
        // One set of metrics an operator, the topmost first: that is the writer.
        let metrics = &stage.stage_metrics;
        let remote = |operator: &MetricsSet| {
            operator.sum_by_name("remote_partitions").map_or(0, |sum| sum.as_usize())
        };
        Stage {
            number: stage.stage_id,
            tasks,
            rows: metrics.first().and_then(MetricsSet::output_rows).unwrap_or(0),
            divided_by: hashed(
                &displayable(stage.plan.as_ref()).one_line().to_string(),
            ),
            remote_pieces: metrics.iter().map(remote).sum(),
        }
    }
}

/// The columns in `SortShuffleWriterExec: … Hash([file@0, line@1], 8)`. The other
/// writer, `ShuffleWriterExec`, divides nothing and shows how its input was divided.
fn hashed(plan: &str) -> Vec<String> {
    if !plan.trim_start().starts_with("SortShuffleWriterExec") {
        return Vec::new();
    }
    let columns =
        plan.split_once("Hash([").and_then(|(_, rest)| rest.split_once(']'));
    let Some((columns, _)) = columns else { return Vec::new() };
    let name = |column: &str| column.split('@').next().unwrap_or(column).to_owned();
    columns.split(", ").map(name).collect()
}
