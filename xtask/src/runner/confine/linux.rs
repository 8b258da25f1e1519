//! The stages on Linux. The supervisor enters namespaces; the first process of the PID namespace
//! (a program must not be that process itself: it would not get the signals of its own `abort`)
//! makes all but one folder read-only; the last stage limits itself, gives its rights up for
//! Landlock and seccomp, and becomes the program.
//!
//! Where a system allows no user namespaces, the supervisor starts the last stage at once. A
//! program then gets no sockets at all, because a filter cannot tell where one leads.
//!
//! Knows of the kernel's interfaces only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::runner::confine::{self, Bounds, Ended, Job, Means};
use crate::runner::limits::Limit;

/// How long clearing up tries to see the last process go.
const GONE: Duration = Duration::from_secs(3);

/// How many times the limit of tasks a user's tasks may grow by before the kernel refuses more.
const ROOM_FOR_OTHERS: u64 = 4;

/// The rights on files that Landlock takes away; a kernel that knows fewer takes those away.
const LANDLOCK: ABI = ABI::V6;

/// Takes the supervisor away from the terminal and from inherited files, and into namespaces of
/// its own, if the job's means ask for them.
pub fn enter(job: &Job) -> Result<()> {
    // Everything that the supervisor starts is of this session, and is found by it.
    rustix::process::setsid().context("cannot start a session")?;
    close_fds::set_fds_cloexec(3, &[]);
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("cannot adopt orphans")?;
    let Some(bounds) = &job.bounds else {
        return Ok(());
    };
    // When memory runs out on the machine, a reader's program goes first. Without this file the
    // kernel chooses as it does for any other program.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    if bounds.means.namespaces {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        let own = UnshareFlags::NEWUSER
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWIPC;
        unshare(own).context("no user namespace")?;
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", map(user.as_raw())),
            ("gid_map", map(group.as_raw())),
        ] {
            fs::write(Path::new("/proc/self").join(file), text)
                .with_context(|| format!("cannot write the user namespace's {file}"))?;
        }
        loopback_up().context("no loopback in the network namespace")?;
        keep_for_init().context("the user namespace gives no rights")?;
    }
    Ok(())
}

/// One identity, which is the same inside and outside.
fn map(id: u32) -> String {
    format!("{id} {id} 1")
}

#[expect(
    deprecated,
    reason = "what can go wrong concerns UnshareFlags::FILES, which is never passed"
)]
fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    rustix::thread::unshare(flags)
}

/// Sets the loopback interface of a new network namespace up: one netlink message.
fn loopback_up() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const NLMSG_ERROR: u16 = 2;
    const LOOPBACK: i32 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes()); // length
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // sequence number
    message.extend(0_u32.to_ne_bytes()); // to the kernel
    message.extend([0, 0]); // any address family
    message.extend(0_u16.to_ne_bytes()); // any kind of device
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // the flags …
    message.extend(IFF_UP.to_ne_bytes()); // … that change
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &kernel)?;
    let mut answer = [0; 256];
    let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    let field = |at: usize| answer[..length].get(at..at + 4);
    let kind = field(4).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    match (kind, field(16)) {
        (Some(NLMSG_ERROR), Some([0, 0, 0, 0])) => Ok(()),
        (kind, error) => bail!("the kernel answers {kind:?} {error:?}"),
    }
}

/// Lets the next stage keep the rights in the new user namespace that it needs, which an exec
/// takes from anybody but root.
fn keep_for_init() -> rustix::io::Result<()> {
    let kept = CapabilitySet::SYS_ADMIN | CapabilitySet::SETPCAP;
    let mut own = rustix::thread::capabilities(None)?;
    own.inheritable |= kept;
    rustix::thread::set_capabilities(None, own)?;
    for (_, capability) in kept.iter_names() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// The first process of a PID namespace: starts the next stage, waits for it, and tells how it
/// ended. With its own end, everything in the namespace ends.
pub fn init(job: &Job, mut next: Command) -> Result<ExitCode> {
    let bounds = job.bounds.as_ref().context("a job without bounds")?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Opened before all but the program's folder is read-only.
    let mut told = File::create(bounds.ended()).context("cannot write into the run's folder")?;
    if bounds.means.read_only {
        read_only_but(&job.work).context("cannot make the file system read-only")?;
    }
    thread::spawn(|| {
        // The supervisor holds the other end until it ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let child = next.spawn().context("the next stage does not start")?;
    let status = loop {
        // As the first process it is the parent of every orphan, too.
        let waited = rustix::process::wait(WaitOptions::empty());
        match waited {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == pid_of(&child)? => {
                break ExitStatus::from_raw(status.as_raw());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the program"),
        }
    };
    let ended: Ended = confine::ended(status);
    told.write_all(&serde_json::to_vec(&ended)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the other end of standard input is closed, after this time at the latest.
pub fn input_ended_within(time: Duration) -> bool {
    let stdin = std::io::stdin();
    let mut input = [PollFd::new(&stdin, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    // Cut short by a signal, it is asked again.
    matches!(rustix::event::poll(&mut input, time.as_ref()), Ok(1..))
}

fn pid_of(child: &Child) -> Result<i32> {
    Ok(i32::try_from(child.id())?)
}

/// Makes every mount read-only, in a mount namespace of its own, but `folder`.
fn read_only_but(folder: &Path) -> Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    rustix::mount::mount_bind(folder, folder)?;
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(place), Some(options)) = (fields.get(4), fields.get(5)) else {
            bail!("/proc/self/mountinfo has the line {line}");
        };
        let place = unescaped(place);
        let options: Vec<&str> = options.split(',').collect();
        if place == folder || options.contains(&"ro") {
            continue;
        }
        let flags = MountFlags::BIND | MountFlags::RDONLY | locked(&options);
        match rustix::mount::mount_remount(&place, flags, "") {
            // A mount that another one hides, or that this user cannot reach.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::INVAL) => {}
            Err(error) => {
                return Err(error).with_context(|| place.display().to_string());
            }
        }
    }
    Ok(())
}

/// A path as mountinfo writes it: `\040` for a space and the like.
fn unescaped(written: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::new();
    let mut rest = written.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// The flags of a mount that a remount in a user namespace has to repeat.
fn locked(options: &[&str]) -> MountFlags {
    let mut flags = MountFlags::empty();
    let mut atime = MountFlags::STRICTATIME;
    for option in options {
        match *option {
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "nodiratime" => flags |= MountFlags::NODIRATIME,
            "noatime" => atime = MountFlags::NOATIME,
            "relatime" => atime = MountFlags::RELATIME,
            _ => {}
        }
    }
    flags | atime
}

/// Limits this process, gives its rights up and becomes the program.
pub fn become_program(job: &Job) -> Result<ExitCode> {
    let bounds = job.bounds.as_ref().context("a job without bounds")?;
    let means = bounds.means;
    if !means.namespaces {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    let mut command = Command::new(&job.program);
    command
        .args(&job.arguments)
        .current_dir(&job.work)
        .stdin(Stdio::null());
    let filters = if means.seccomp {
        filters(bounds).context("no seccomp filter for this processor")?
    } else {
        Vec::new()
    };
    rustix::process::setpriority_process(None, bounds.limits.nice)
        .context("cannot lower the priority")?;
    limit_resources(bounds)?;
    give_up_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    if means.landlock {
        confine_writes(&job.work)?;
    }
    for filter in &filters {
        seccompiler::apply_filter(filter).context("the seccomp filter is refused")?;
    }
    let error = command.exec();
    Err(error).with_context(|| format!("{} does not start", job.program.display()))
}

fn limit_resources(bounds: &Bounds) -> Result<()> {
    let limits = &bounds.limits;
    // Only a stop to a flood: the supervisor holds the program to its limit. The kernel counts all
    // tasks of a user, unless the namespace has a count of its own, and what else the user starts
    // meanwhile must not end the program.
    let tasks = ROOM_FOR_OTHERS * limits.tasks + tasks_of_this_user();
    for (resource, limit) in [
        (Resource::As, limits.address_space),
        (Resource::Nproc, tasks),
        (Resource::Fsize, limits.file),
        (Resource::Nofile, limits.open_files),
        (Resource::Core, 0),
    ] {
        let allowed = rustix::process::getrlimit(resource).maximum;
        let limit = Some(allowed.map_or(limit, |allowed| limit.min(allowed)));
        let both = Rlimit {
            current: limit,
            maximum: limit,
        };
        rustix::process::setrlimit(resource, both)
            .with_context(|| format!("cannot limit {resource:?}"))?;
    }
    Ok(())
}

/// How many processes and threads the user of this process has.
fn tasks_of_this_user() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::getuid().as_raw();
    processes()
        .filter(|process| {
            fs::metadata(format!("/proc/{}", process.pid))
                .is_ok_and(|metadata| metadata.uid() == user)
        })
        .map(|process| process.threads)
        .sum()
}

fn give_up_capabilities() -> Result<()> {
    // Only a process that has a right to may forget what it could get; who has not, has nothing
    // that the program could inherit.
    for (_, capability) in CapabilitySet::all().iter_names() {
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::clear_ambient_capability_set().context("cannot clear rights")?;
    rustix::thread::set_capabilities(None, none).context("cannot give rights up")
}

/// No writing but below `work`, and to the devices that swallow what is written.
fn confine_writes(work: &Path) -> Result<()> {
    let writes = AccessFs::from_write(LANDLOCK);
    let status = Ruleset::default()
        .handle_access(writes)?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules([work], writes))?
        .add_rules(path_beneath_rules(
            ["/dev/null", "/dev/zero", "/dev/full"],
            writes,
        ))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        bail!("this kernel has no Landlock");
    }
    Ok(())
}

/// The filters that keep a program from calls which lead around its bounds.
fn filters(bounds: &Bounds) -> Result<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let no_permission = SeccompAction::Errno(Errno::PERM.raw_os_error().unsigned_abs());
    let unknown = SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs());
    let mut refused = BTreeMap::<i64, Vec<SeccompRule>>::new();
    for call in ALWAYS_REFUSED {
        refused.insert(*call, Vec::new());
    }
    for (call, rules) in refused_by_argument(bounds.means)? {
        refused.insert(call, rules);
    }
    if !bounds.means.namespaces {
        for call in REFUSED_WITHOUT_NAMESPACES {
            refused.insert(*call, Vec::new());
        }
    }
    if !bounds.metadata && !bounds.means.read_only {
        for call in METADATA {
            refused.insert(*call, Vec::new());
        }
    }
    // Its flags lie in memory, where no filter sees them; libc then uses the older call.
    let newer = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    [(refused, no_permission), (newer, unknown)]
        .into_iter()
        .map(|(mut calls, action)| {
            with_second_numbers(&mut calls);
            let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, arch)?;
            Ok(BpfProgram::try_from(filter)?)
        })
        .collect()
}

/// On x86-64 every call has a second number, with this bit, for the x32 ABI.
fn with_second_numbers(calls: &mut BTreeMap<i64, Vec<SeccompRule>>) {
    const X32: i64 = 0x4000_0000;
    if cfg!(target_arch = "x86_64") {
        let second: Vec<_> = calls
            .iter()
            .map(|(call, rules)| (call | X32, rules.clone()))
            .collect();
        calls.extend(second);
    }
}

/// Calls that no program on a page needs: they change the machine, make new namespaces, look
/// into other processes, or (io_uring) do what this filter refuses without being seen by it.
const ALWAYS_REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    // Whoever leaves the session is not found by the supervisor.
    libc::SYS_setsid,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Calls that name other processes. In a PID namespace there are none to name.
const REFUSED_WITHOUT_NAMESPACES: &[i64] = &[
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_setpgid,
    libc::SYS_setpriority,
    libc::SYS_tkill,
    // System V IPC and message queues of the machine.
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_shmget,
];

/// The number of a call that `libc` does not name for every processor; it is the same on all.
const FCHMODAT2: i64 = 452;

/// Calls that change what Landlock does not guard: modes, owners, times and attributes.
const METADATA: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
    libc::SYS_utimensat,
];

/// Calls that are refused for some of their arguments.
fn refused_by_argument(means: Means) -> Result<Vec<(i64, Vec<SeccompRule>)>> {
    let word = |argument, operator, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
    };
    let new_user = libc::CLONE_NEWUSER as u64;
    let datagram = libc::SOCK_DGRAM as u64;
    let mut refused = vec![
        (
            libc::SYS_clone,
            vec![SeccompRule::new(vec![word(
                0,
                SeccompCmpOp::MaskedEq(new_user),
                new_user,
            )?])?],
        ),
        // A pair of datagram sockets can send to any other Unix socket of the machine.
        (
            libc::SYS_socketpair,
            vec![SeccompRule::new(vec![word(
                1,
                SeccompCmpOp::MaskedEq(0xf),
                datagram,
            )?])?],
        ),
    ];
    if means.namespaces {
        // Internet sockets lead nowhere but to the namespace's loopback. Unix sockets would lead
        // to the machine's daemons.
        refused.push((
            libc::SYS_socket,
            vec![SeccompRule::new(vec![
                word(0, SeccompCmpOp::Ne, libc::AF_INET as u64)?,
                word(0, SeccompCmpOp::Ne, libc::AF_INET6 as u64)?,
            ])?],
        ));
    } else {
        refused.push((libc::SYS_socket, Vec::new()));
        let own = u64::from(std::process::id());
        refused.push((
            libc::SYS_tgkill,
            vec![SeccompRule::new(vec![word(0, SeccompCmpOp::Ne, own)?])?],
        ));
        refused.push((
            libc::SYS_prlimit64,
            vec![SeccompRule::new(vec![word(0, SeccompCmpOp::Ne, 0)?])?],
        ));
    }
    Ok(refused)
}

/// What `/proc` says of a process.
struct Process {
    pid: i32,
    session: i32,
    threads: u64,
    /// Resident memory, in pages.
    resident: u64,
}

/// Every process that `/proc` shows.
fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            process(pid, &stat)
        })
}

/// Reads `/proc/PID/stat`, in which the second field is a name that may hold anything.
fn process(pid: i32, stat: &str) -> Option<Process> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    // The first of these is the third of the manual.
    let fields: Vec<&str> = after_name.split(' ').collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Process {
        pid,
        session: field(6)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        resident: field(24)?.parse().ok()?,
    })
}

/// The processes that the supervisor, this process, has started.
fn started() -> impl Iterator<Item = Process> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    processes().filter(move |process| process.session == own && process.pid != own)
}

/// The limit that the program, all its processes together, has passed.
pub fn exceeded(bounds: &Bounds, child: u32) -> Option<Limit> {
    let stage = bounds
        .means
        .namespaces
        .then(|| i32::try_from(child).ok())
        .flatten();
    let (mut tasks, mut pages) = (0, 0);
    for process in started().filter(|process| Some(process.pid) != stage) {
        tasks += process.threads;
        pages += process.resident;
    }
    // Pages that processes share are counted for each: many processes are the first to look at.
    if tasks > bounds.limits.tasks {
        Some(Limit::Tasks)
    } else if pages * rustix::param::page_size() as u64 > bounds.limits.memory {
        Some(Limit::Memory)
    } else {
        None
    }
}

/// Kills everything of the supervisor's session but itself, and waits until it is gone.
pub fn clear_up(job: &Job, child: &mut Child) {
    if let Some(group) = pid_of(child).ok().and_then(Pid::from_raw) {
        // All at once, so that nothing can fork away. It fails only when nobody is left.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    // Both fail only when the child has been waited for. The wait for the first process of a
    // namespace is a wait for all of them.
    let _ = child.kill();
    let _ = child.wait();
    let namespace = job
        .bounds
        .as_ref()
        .is_some_and(|bounds| bounds.means.namespaces);
    let start = Instant::now();
    while !namespace && start.elapsed() < GONE {
        let mut left = false;
        for process in started() {
            left = true;
            if let Some(pid) = Pid::from_raw(process.pid) {
                // It may have ended by itself.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if !left {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_holds() {
        let stat = "7 (a) R 9 (b) S 1 70 71 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 3 0 55 4096000 \
                    42 18446744073709551615 0 0";
        let read = process(7, stat).expect("a process");
        assert_eq!((read.session, read.threads, read.resident), (71, 3, 42));
    }

    #[test]
    fn a_mount_with_a_space_in_its_path_is_found() {
        assert_eq!(unescaped("/a\\040b"), Path::new("/a b"));
        assert_eq!(unescaped("/plain\\"), Path::new("/plain\\"));
    }
}
