//! A file system for SQLite, in memory, that logs what SQLite asks of it.
//!
//! SQLite reaches files through a table of C functions, a VFS (virtual file
//! system). This one does what the Unix one does, on a `Vec<u8>` a file: it
//! tells the same truths about the device, and syncs the directory at the same
//! two places, after creating a journal and, if asked, after deleting it.
//!
//! All `unsafe` of this program is here. What makes it sound: SQLite calls with
//! valid pointers, as its documentation promises, and with one file on one thread
//! at a time; a `Handle` is written by `open` before any other function sees it;
//! the `Machine` lives for ever. Where SQLite wants bytes from us, its buffer may
//! be uninitialised, so we write through the pointer and never make it a slice.

use super::disk::{overwrite, Event, FileId, Names};
use rusqlite::ffi;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a running machine sees of its files, and the log of how it came about.
#[derive(Default)]
pub struct Files {
    pub names: Names,
    pub contents: Vec<Vec<u8>>,
    pub log: Vec<Event>,
    random: u64,
}

pub struct Machine(Mutex<Files>);

impl Machine {
    /// Registers a new, empty file system with SQLite under this name.
    pub fn register(name: &'static CStr) -> &'static Machine {
        let machine: &'static Machine =
            Box::leak(Box::new(Machine(Mutex::default())));
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size_of::<Handle>() as c_int,
            mxPathname: 64,
            pNext: std::ptr::null_mut(),
            zName: name.as_ptr(),
            pAppData: std::ptr::from_ref(machine).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None, // no extension is ever loaded
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: None,
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the table lives for ever and every function in it fits its slot.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite refuses the file system");
        machine
    }

    /// Turns the machine on with these files and an empty log.
    pub fn start<'a>(&self, files: impl Iterator<Item = (&'a String, &'a [u8])>) {
        let mut fresh = Files::default();
        for (name, bytes) in files {
            fresh
                .names
                .insert(name.clone(), FileId(fresh.contents.len()));
            fresh.contents.push(bytes.to_vec());
        }
        *self.files() = fresh;
    }

    pub fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What SQLite keeps for us beside each open file; it looks at the first field.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    machine: &'static Machine,
    id: FileId,
    directory_needs_sync: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1, // no shared memory: WAL needs locking_mode=EXCLUSIVE
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

type File = *mut ffi::sqlite3_file;
type Vfs = *mut ffi::sqlite3_vfs;

/// The handle behind a file that `open` has opened, and the files of its machine.
unsafe fn opened(file: File) -> (&'static mut Handle, MutexGuard<'static, Files>) {
    let handle = &mut *file.cast::<Handle>();
    let files = handle.machine.files();
    (handle, files)
}

unsafe fn machine(vfs: Vfs) -> &'static Machine {
    &*(*vfs).pAppData.cast::<Machine>()
}

unsafe fn text(name: *const c_char) -> String {
    CStr::from_ptr(name).to_string_lossy().into_owned()
}

unsafe extern "C" fn open(
    vfs: Vfs,
    name: *const c_char,
    file: File,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    (*file).pMethods = std::ptr::null();
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN; // a temporary file: none is needed here
    }
    let (name, machine) = (text(name), machine(vfs));
    let mut files = machine.files();
    let known = files.names.get(&name).copied();
    if known.is_none() && flags & ffi::SQLITE_OPEN_CREATE == 0 {
        return ffi::SQLITE_CANTOPEN;
    }
    let id = known.unwrap_or_else(|| {
        let id = FileId(files.contents.len());
        files.contents.push(Vec::new());
        files.names.insert(name.clone(), id);
        files.log.push(Event::Create(name, id));
        id
    });
    let journal = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
    file.cast::<Handle>().write(Handle {
        base: ffi::sqlite3_file { pMethods: &METHODS },
        machine,
        id,
        directory_needs_sync: flags & ffi::SQLITE_OPEN_CREATE != 0
            && flags & journal != 0,
    });
    if !out_flags.is_null() {
        *out_flags = flags;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    vfs: Vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    let name = text(name);
    let mut files = machine(vfs).files();
    if files.names.remove(&name).is_none() {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    files.log.push(Event::Delete(name));
    if sync_dir != 0 {
        files.log.push(Event::SyncDirectory);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: File, _flags: c_int) -> c_int {
    let (handle, mut files) = opened(file);
    files.log.push(Event::Sync(handle.id));
    if std::mem::take(&mut handle.directory_needs_sync) {
        files.log.push(Event::SyncDirectory);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(
    file: File,
    bytes: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (handle, mut files) = opened(file);
    let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), len as usize);
    overwrite(&mut files.contents[handle.id.0], at as usize, bytes);
    let event = Event::Write(handle.id, at as usize, bytes.to_vec());
    files.log.push(event);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: File,
    into: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (handle, files) = opened(file);
    let (into, len) = (into.cast::<u8>(), len as usize);
    let there = files.contents[handle.id.0]
        .get(at as usize..)
        .unwrap_or(&[]);
    let got = there.len().min(len);
    into.copy_from_nonoverlapping(there.as_ptr(), got);
    into.add(got).write_bytes(0, len - got);
    match got == len {
        true => ffi::SQLITE_OK,
        false => ffi::SQLITE_IOERR_SHORT_READ,
    }
}

unsafe extern "C" fn truncate(file: File, len: ffi::sqlite3_int64) -> c_int {
    let (handle, mut files) = opened(file);
    files.contents[handle.id.0].resize(len as usize, 0);
    files.log.push(Event::Truncate(handle.id, len as usize));
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: File, len: *mut ffi::sqlite3_int64) -> c_int {
    let (handle, files) = opened(file);
    *len = files.contents[handle.id.0].len() as ffi::sqlite3_int64;
    ffi::SQLITE_OK
}

/// As on Unix, an empty file counts as none.
unsafe extern "C" fn access(
    vfs: Vfs,
    name: *const c_char,
    _flags: c_int,
    is_there: *mut c_int,
) -> c_int {
    let files = machine(vfs).files();
    let content = files.names.get(&text(name)).map(|id| &files.contents[id.0]);
    *is_there = c_int::from(content.is_some_and(|c| !c.is_empty()));
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _vfs: Vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    let bytes = CStr::from_ptr(name).to_bytes_with_nul();
    if bytes.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    out.copy_from_nonoverlapping(name, bytes.len());
    ffi::SQLITE_OK
}

/// The same numbers in every run: SQLite salts its journals with them.
unsafe extern "C" fn randomness(vfs: Vfs, len: c_int, out: *mut c_char) -> c_int {
    let mut files = machine(vfs).files();
    files.random += 1;
    let mut rng = fastrand::Rng::with_seed(files.random);
    for i in 0..len as usize {
        out.add(i).cast::<u8>().write(rng.u8(..));
    }
    len
}

unsafe extern "C" fn close(file: File) -> c_int {
    (*file).pMethods = std::ptr::null(); // nothing in a Handle needs to be dropped
    ffi::SQLITE_OK
}

/// There is one connection at a time: every lock is granted.
unsafe extern "C" fn lock(_file: File, _level: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_file: File, is_held: *mut c_int) -> c_int {
    *is_held = 0;
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: File,
    _op: c_int,
    _arg: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: File) -> c_int {
    super::disk::SECTOR_BYTES as c_int
}

/// A write damages nothing beside what it writes: the Unix VFS says so too, and
/// then SQLite takes 512 bytes for a sector, whatever `sector_size` says.
unsafe extern "C" fn device_characteristics(_file: File) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn sleep(_vfs: Vfs, us: c_int) -> c_int {
    us
}

unsafe extern "C" fn current_time(_vfs: Vfs, now: *mut f64) -> c_int {
    *now = 2_461_000.5; // a Julian day in late 2025, for ever
    ffi::SQLITE_OK
}
