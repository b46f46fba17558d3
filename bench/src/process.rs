//! What the server's process has used: CPU to the nanosecond, and memory that is its own.

use std::fs;
use std::io;
use std::mem::MaybeUninit;

use crate::trouble::{Trouble, while_doing};

/// A process whose use is read, by its id.
#[derive(Clone, Copy)]
pub struct Process {
    pid: libc::pid_t,
}

/// Bytes of a process that are in memory.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Its own: heap and stacks. What a connection costs is read here.
    pub anonymous: u64,
    /// All of it, the mapped pages of the program included.
    pub resident: u64,
}

impl Process {
    /// The process `pid`.
    pub fn new(pid: i32) -> Self {
        Process { pid }
    }

    /// The process that asks.
    pub fn own() -> Self {
        Process {
            pid: std::process::id().cast_signed(),
        }
    }

    /// Microseconds of CPU since it began, of all its threads, ended ones too. The clock of the scheduler, not of ticks:
    /// a run of a second would else be wrong by a percent.
    pub fn cpu_us(self) -> Result<f64, Trouble> {
        let mut clock: libc::clockid_t = 0;
        // SAFETY: `clock` outlives the call, which writes nothing else.
        let failed = unsafe { libc::clock_getcpuclockid(self.pid, &mut clock) };
        if failed != 0 {
            return Err(Trouble::Io(
                "finding the server's CPU clock",
                io::Error::from_raw_os_error(failed),
            ));
        }
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: `time` outlives the call and is big enough for what the call writes.
        if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
            return Err(Trouble::Io(
                "reading the server's CPU clock",
                io::Error::last_os_error(),
            ));
        }
        // SAFETY: the call above returned 0, so it has written `time`.
        let time = unsafe { time.assume_init() };
        Ok(time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3)
    }

    /// Stops it where it is.
    pub fn stop(self) -> Result<(), Trouble> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets it go on.
    pub fn go_on(self) -> Result<(), Trouble> {
        self.signal(libc::SIGCONT)
    }

    /// Ends it without a word.
    pub fn kill(self) -> Result<(), Trouble> {
        self.signal(libc::SIGKILL)
    }

    fn signal(self, signal: libc::c_int) -> Result<(), Trouble> {
        // SAFETY: no memory is handed over.
        if unsafe { libc::kill(self.pid, signal) } != 0 {
            return Err(Trouble::Io(
                "signalling the server",
                io::Error::last_os_error(),
            ));
        }
        Ok(())
    }

    /// Its memory now.
    pub fn memory(self) -> Result<Memory, Trouble> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .map_err(while_doing("reading the server's memory"))?;
        match (bytes_of(&status, "RssAnon:"), bytes_of(&status, "VmRSS:")) {
            (Some(anonymous), Some(resident)) => Ok(Memory {
                anonymous,
                resident,
            }),
            _ => Err(Trouble::Io(
                "reading the server's memory",
                io::ErrorKind::InvalidData.into(),
            )),
        }
    }
}

/// Makes the calling thread the last in line for its core.
pub(crate) fn yield_to_others() -> Result<(), Trouble> {
    // SAFETY: no memory is handed over; 0 names the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } != 0 {
        return Err(Trouble::Io(
            "lowering a thread's priority",
            io::Error::last_os_error(),
        ));
    }
    Ok(())
}

fn bytes_of(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_page() {
        let status = "Name:\tserver\nVmRSS:\t   12345 kB\nRssAnon:\t    678 kB\n";
        assert_eq!(bytes_of(status, "RssAnon:"), Some(678 * 1024));
        assert_eq!(bytes_of(status, "VmRSS:"), Some(12_345 * 1024));
        assert_eq!(bytes_of(status, "RssFile:"), None);
    }

    #[test]
    fn ones_own_use_can_be_read() {
        let own = Process::own();
        assert!(own.cpu_us().expect("the clock of a living process") > 0.0);
        assert!(
            own.memory()
                .expect("the status of a living process")
                .anonymous
                > 0
        );
    }
}
