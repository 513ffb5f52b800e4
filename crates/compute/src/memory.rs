//! Memory: what the machine has, what a plan may use, what a run has used.

/// Memory that is free for use now, in bytes, also within a container's limit; `None` where the system does not say.
pub fn available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let machine = field_kib(&meminfo, "MemAvailable:")?;
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

/// The allowance of a plan where the user gives none: half of what is free, or 1 GiB where that is not known.
pub fn default_allowance() -> u64 {
    available().map_or(1 << 30, |free| free / 2)
}

/// Largest resident memory of this process so far, in bytes; 0 where the system does not say.
pub fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    field_kib(&status, "VmHWM:").unwrap_or(0)
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Bytes for people: `12.3 MB` (powers of 1000).
pub fn human(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let power = (0..units.len()).rfind(|p| bytes as f64 >= 1000f64.powi(i32::try_from(*p).unwrap_or(0))).unwrap_or(0);
    let scaled = bytes as f64 / 1000f64.powi(i32::try_from(power).unwrap_or(0));
    if power == 0 { format!("{bytes} B") } else { format!("{scaled:.1} {}", units[power]) }
}

/// Parses a size like `500MB`, `2GiB` or `1000000`; `None` if it is not one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be finite and positive")]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let factor: f64 = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    (1.0..1.8e19).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse_bytes("500MB"), Some(500_000_000));
        assert_eq!(parse_bytes("2 GiB"), Some(2 << 30));
        assert_eq!(parse_bytes("1.5k"), Some(1500));
        for bad in ["", "MB", "1 parsec", "-1", "0"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1_234_567), "1.2 MB");
    }
}
