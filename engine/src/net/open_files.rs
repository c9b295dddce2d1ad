//! The limit of open files, which a process with many nodes meets first.

use std::io;
use std::sync::OnceLock;

/// How many files and sockets this process may have open at a time, as of the first call: to read
/// it takes a file, which is not to be had where the number matters. `None` where the system
/// doesn't say, or sets no limit.
pub fn open_files_max() -> Option<usize> {
    static MOST: OnceLock<usize> = OnceLock::new();
    MOST.get().copied().or_else(|| {
        let most = soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)?;
        Some(*MOST.get_or_init(|| most))
    })
}

/// What to do about an error, if it is that all of them are open.
pub(crate) fn fix(error: &io::Error) -> Option<String> {
    // The number is the same on all systems of the family.
    const EMFILE: i32 = 24;
    if !cfg!(unix) || error.raw_os_error() != Some(EMFILE) {
        return None;
    }
    let most = open_files_max().map(|most| format!(", which is {most}")).unwrap_or_default();
    Some(format!("raise the limit of open files (ulimit -n){most}"))
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_and_no_limit_is_none() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             31                   31                   processes \n\
                 Max open files            {soft}                 524288               files     \n"
            )
        };
        assert_eq!(soft_limit(&limits("1024")), Some(1_024));
        assert_eq!(soft_limit(&limits("unlimited")), None);
        assert_eq!(soft_limit(""), None);
        #[cfg(target_os = "linux")]
        assert!(open_files_max().is_some_and(|most| most > 0));
    }

    #[cfg(unix)]
    #[test]
    fn an_error_that_has_another_cause_has_another_fix() {
        let told = fix(&io::Error::from_raw_os_error(24)).unwrap();
        assert!(told.starts_with("raise the limit of open files (ulimit -n)"), "{told}");
        assert_eq!(fix(&io::Error::from_raw_os_error(98)), None);
    }
}
