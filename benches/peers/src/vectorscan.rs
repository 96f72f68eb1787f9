//! The few functions of Vectorscan (Hyperscan's C interface) that are needed, loaded when a row asks for them, so that
//! the bench builds where the library is missing. Only this file and `measure.rs` are unsafe.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

/// What Debian's libvectorscan5 and libvectorscan-dev install.
const NAMES: [&CStr; 2] = [c"libhs.so.5", c"libhs.so"];

const CASELESS: c_uint = 1;
/// A pattern is reported once per scan.
const SINGLEMATCH: c_uint = 8;
const MODE_BLOCK: c_uint = 1;

/// Takes a match; not 0 would end the scan.
type Callback = unsafe extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;

#[repr(C)]
struct CompileError {
    message: *mut c_char,
    /// Which expression; negative if the error is of none.
    expression: c_int,
}

type Version = unsafe extern "C" fn() -> *const c_char;
type CompileMulti = unsafe extern "C" fn(
    expressions: *const *const c_char,
    flags: *const c_uint,
    ids: *const c_uint,
    elements: c_uint,
    mode: c_uint,
    platform: *const c_void,
    database: *mut *mut c_void,
    error: *mut *mut CompileError,
) -> c_int;
type CompileLiterals = unsafe extern "C" fn(
    expressions: *const *const c_char,
    flags: *const c_uint,
    ids: *const c_uint,
    lengths: *const usize,
    elements: c_uint,
    mode: c_uint,
    platform: *const c_void,
    database: *mut *mut c_void,
    error: *mut *mut CompileError,
) -> c_int;
type AllocScratch = unsafe extern "C" fn(database: *const c_void, scratch: *mut *mut c_void) -> c_int;
type Scan = unsafe extern "C" fn(
    database: *const c_void,
    data: *const c_char,
    length: c_uint,
    flags: c_uint,
    scratch: *mut c_void,
    on_match: Callback,
    context: *mut c_void,
) -> c_int;
type Serialize =
    unsafe extern "C" fn(database: *const c_void, bytes: *mut *mut c_char, length: *mut usize) -> c_int;
type Deserialize =
    unsafe extern "C" fn(bytes: *const c_char, length: usize, database: *mut *mut c_void) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;
type FreeError = unsafe extern "C" fn(*mut CompileError) -> c_int;

/// The library.
pub struct Vectorscan {
    version: Version,
    compile_multi: CompileMulti,
    compile_literals: CompileLiterals,
    alloc_scratch: AllocScratch,
    scan: Scan,
    serialize: Serialize,
    deserialize: Deserialize,
    free_database: Free,
    free_scratch: Free,
    free_error: FreeError,
}

/// Compiled patterns and the memory to scan with.
pub struct Database<'v> {
    library: &'v Vectorscan,
    database: *mut c_void,
    scratch: *mut c_void,
}

/// Patterns did not compile, or a database was not taken.
#[derive(Debug)]
pub struct Refused {
    /// Which one, if it is about one.
    pub pattern: Option<usize>,
    pub message: String,
}

impl Vectorscan {
    /// The library, if it is installed.
    pub fn load() -> Result<Self, String> {
        // SAFETY: the name is a C string; the library's initialisers are those of a released system library.
        let handle = NAMES
            .iter()
            .map(|name| unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) })
            .find(|handle| !handle.is_null())
            .ok_or(
                "Vectorscan's libhs.so.5 is not found; install it with: apt-get install libvectorscan-dev",
            )?;
        let symbol = |name: &CStr| {
            // SAFETY: the handle is open and stays so; the name is a C string.
            let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
            if symbol.is_null() {
                return Err(format!("{name:?} is not in libhs; install libvectorscan-dev 5.4 or newer"));
            }
            Ok(symbol)
        };
        // SAFETY: each symbol is the function of that name in hs_compile.h and hs_runtime.h (5.4), whose C types the
        // types above repeat; none is null.
        unsafe {
            Ok(Self {
                version: std::mem::transmute::<*mut c_void, Version>(symbol(c"hs_version")?),
                compile_multi: std::mem::transmute::<*mut c_void, CompileMulti>(symbol(c"hs_compile_multi")?),
                compile_literals: std::mem::transmute::<*mut c_void, CompileLiterals>(symbol(
                    c"hs_compile_lit_multi",
                )?),
                alloc_scratch: std::mem::transmute::<*mut c_void, AllocScratch>(symbol(c"hs_alloc_scratch")?),
                scan: std::mem::transmute::<*mut c_void, Scan>(symbol(c"hs_scan")?),
                serialize: std::mem::transmute::<*mut c_void, Serialize>(symbol(c"hs_serialize_database")?),
                deserialize: std::mem::transmute::<*mut c_void, Deserialize>(symbol(
                    c"hs_deserialize_database",
                )?),
                free_database: std::mem::transmute::<*mut c_void, Free>(symbol(c"hs_free_database")?),
                free_scratch: std::mem::transmute::<*mut c_void, Free>(symbol(c"hs_free_scratch")?),
                free_error: std::mem::transmute::<*mut c_void, FreeError>(symbol(c"hs_free_compile_error")?),
            })
        }
    }

    /// The version it says it is.
    pub fn version(&self) -> String {
        // SAFETY: takes nothing, and returns a static C string.
        unsafe { CStr::from_ptr((self.version)()) }.to_string_lossy().into_owned()
    }

    /// A database of regexes, each reported once per scan.
    pub fn regexes<'p>(&self, patterns: impl IntoIterator<Item = &'p str>) -> Result<Database<'_>, Refused> {
        let patterns = c_strings(patterns)?;
        let pointers: Vec<_> = patterns.iter().map(|pattern| pattern.as_ptr()).collect();
        let flags = vec![SINGLEMATCH; pointers.len()];
        let ids: Vec<c_uint> = (0..pointers.len() as c_uint).collect();
        self.database(|database, error| {
            // SAFETY: all arrays have `ids.len()` elements and outlive the call; the results are written to locals.
            unsafe {
                (self.compile_multi)(
                    pointers.as_ptr(),
                    flags.as_ptr(),
                    ids.as_ptr(),
                    ids.len() as c_uint,
                    MODE_BLOCK,
                    ptr::null(),
                    database,
                    error,
                )
            }
        })
    }

    /// A database of literals that ignores letter case and reports every place.
    pub fn literals<'p>(&self, words: impl IntoIterator<Item = &'p str>) -> Result<Database<'_>, Refused> {
        let words = c_strings(words)?;
        let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        let lengths: Vec<usize> = words.iter().map(|word| word.as_bytes().len()).collect();
        let flags = vec![CASELESS; pointers.len()];
        let ids: Vec<c_uint> = (0..pointers.len() as c_uint).collect();
        self.database(|database, error| {
            // SAFETY: as for `regexes`; each length is that of its string.
            unsafe {
                (self.compile_literals)(
                    pointers.as_ptr(),
                    flags.as_ptr(),
                    ids.as_ptr(),
                    lengths.as_ptr(),
                    ids.len() as c_uint,
                    MODE_BLOCK,
                    ptr::null(),
                    database,
                    error,
                )
            }
        })
    }

    fn database(
        &self,
        compile: impl FnOnce(*mut *mut c_void, *mut *mut CompileError) -> c_int,
    ) -> Result<Database<'_>, Refused> {
        let (mut database, mut error) = (ptr::null_mut(), ptr::null_mut());
        let code = compile(&raw mut database, &raw mut error);
        if code != 0 {
            return Err(self.refused(code, error));
        }
        self.ready(database)
    }

    /// A database that was compiled before.
    pub fn restore(&self, bytes: &[u8]) -> Result<Database<'_>, Refused> {
        let mut database = ptr::null_mut();
        // SAFETY: the bytes are that many; the library checks that they are a database of its own version.
        let code = unsafe { (self.deserialize)(bytes.as_ptr().cast(), bytes.len(), &raw mut database) };
        if code != 0 {
            return Err(Refused { pattern: None, message: format!("hs_deserialize_database gave {code}") });
        }
        self.ready(database)
    }

    fn ready(&self, database: *mut c_void) -> Result<Database<'_>, Refused> {
        let mut scratch = ptr::null_mut();
        // SAFETY: the database is the library's and new; a null scratch asks for a new one.
        let code = unsafe { (self.alloc_scratch)(database, &raw mut scratch) };
        let database = Database { library: self, database, scratch };
        if code != 0 {
            return Err(Refused { pattern: None, message: format!("hs_alloc_scratch gave {code}") });
        }
        Ok(database)
    }

    fn refused(&self, code: c_int, error: *mut CompileError) -> Refused {
        if error.is_null() {
            return Refused { pattern: None, message: format!("compiling gave {code}") };
        }
        // SAFETY: the library has set the error: it points to a message and is freed once, here.
        unsafe {
            let message = CStr::from_ptr((*error).message).to_string_lossy().into_owned();
            let pattern = usize::try_from((*error).expression).ok();
            (self.free_error)(error);
            Refused { pattern, message }
        }
    }
}

impl Refused {
    /// What to say, with the pattern out of `list`.
    pub fn of(self, list: &[impl AsRef<str>]) -> String {
        match self.pattern.and_then(|i| list.get(i)) {
            Some(pattern) => format!("{}: {}", pattern.as_ref(), self.message),
            None => self.message,
        }
    }
}

/// A pattern with a zero byte cannot be handed over.
fn c_strings<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Vec<CString>, Refused> {
    let c_string = |(i, pattern): (usize, &str)| {
        let zero = |_| Refused { pattern: Some(i), message: "holds a zero byte".to_owned() };
        CString::new(pattern).map_err(zero)
    };
    patterns.into_iter().enumerate().map(c_string).collect()
}

/// Counts, and goes on.
unsafe extern "C" fn count(
    _: c_uint,
    _: c_ulonglong,
    _: c_ulonglong,
    _: c_uint,
    matches: *mut c_void,
) -> c_int {
    // SAFETY: the context is the counter that `Database::scan` gave, which nothing else uses meanwhile.
    unsafe { *matches.cast::<u64>() += 1 };
    0
}

impl Database<'_> {
    /// The database as bytes, so that compiling it again is not needed.
    pub fn saved(&self) -> Result<Vec<u8>, Refused> {
        let (mut bytes, mut length) = (ptr::null_mut::<c_char>(), 0);
        // SAFETY: the results are written to locals.
        let code = unsafe { (self.library.serialize)(self.database, &raw mut bytes, &raw mut length) };
        if code != 0 {
            return Err(Refused { pattern: None, message: format!("hs_serialize_database gave {code}") });
        }
        // SAFETY: the library has allocated that many bytes with malloc, its default; they are freed once, here.
        unsafe {
            let saved = std::slice::from_raw_parts(bytes.cast::<u8>(), length).to_vec();
            libc::free(bytes.cast());
            Ok(saved)
        }
    }

    /// How many matches `text` has.
    #[inline]
    pub fn scan(&mut self, text: &[u8]) -> u64 {
        let length = c_uint::try_from(text.len()).expect("blocks are smaller than 4 GiB");
        let mut matches = 0_u64;
        // SAFETY: `text` is that long; database and scratch belong together and, borrowed mutably, are not in use.
        let code = unsafe {
            let context = (&raw mut matches).cast();
            (self.library.scan)(self.database, text.as_ptr().cast(), length, 0, self.scratch, count, context)
        };
        assert_eq!(code, 0, "hs_scan failed");
        matches
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // SAFETY: both were allocated by the library and are freed once; null is allowed.
        unsafe {
            (self.library.free_scratch)(self.scratch);
            (self.library.free_database)(self.database);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_bytes_are_refused() {
        let refused = c_strings(["a", "b\0"]).expect_err("a zero byte");
        assert_eq!(refused.pattern, Some(1));
    }

    #[test]
    fn matches_are_counted_where_the_library_is_installed() {
        let Ok(library) = Vectorscan::load() else { return };
        let mut regexes = library.regexes(["ab+", "c$"]).expect("regexes");
        assert_eq!(regexes.scan(b"abbb abb c"), 2);
        let saved = regexes.saved().expect("bytes");
        assert_eq!(library.restore(&saved).expect("database").scan(b"abbb abb c"), 2);
        assert!(library.restore(b"something else").is_err());
        let mut literals = library.literals(["AB", "a.b"]).expect("literals");
        assert_eq!(literals.scan(b"ab aB a.b axb"), 3);
        let refused = library.regexes(["a", "(?<=a)b"]).err().expect("look-behind");
        assert_eq!(refused.pattern, Some(1));
        assert!(!refused.message.is_empty());
    }
}
