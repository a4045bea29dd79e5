//! Maps a session to its server by rendezvous hashing, so that adding or removing a server moves
//! only its own sessions.
//!
//! The hash is implemented here because all processes must agree on it; the standard library's may
//! change between compiler versions.

/// The index of the server with the highest score for this key.
pub(crate) fn choose<'a>(key: &str, servers: impl ExactSizeIterator<Item = &'a str>) -> usize {
    if servers.len() == 1 {
        return 0;
    }
    let key = fnv(key);
    let scores = servers.map(|server| mix(key ^ mix(fnv(server))));
    scores.enumerate().max_by_key(|(_, score)| *score).map_or(0, |(index, _)| index)
}

/// FNV-1a, 64 bits.
fn fnv(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of `SplitMix64`, which spreads every bit over all others.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen<'a>(key: &str, servers: &[&'a str]) -> &'a str {
        servers[choose(key, servers.iter().copied())]
    }

    #[test]
    fn sessions_are_spread_evenly_and_only_those_of_a_removed_server_move() {
        let all = ["cache-1:11211", "cache-2:11211", "cache-3:11211"];
        let fewer = ["cache-3:11211", "cache-1:11211"];
        let mut count = [0; 3];
        for number in 0..6_000 {
            let key = format!("session:{number:064x}");
            let before = choose(&key, all.into_iter());
            count[before] += 1;
            if before != 1 {
                assert_eq!(chosen(&key, &fewer), all[before]);
            }
        }
        // 2,000 expected, standard deviation 37.
        assert!(count.iter().all(|count| (1_800..2_200).contains(count)), "{count:?}");
    }

    /// These values must never change: a rolling deployment would log everybody out.
    #[test]
    fn every_version_of_this_crate_chooses_the_same_server() {
        let servers = ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"];
        let chosen: Vec<_> =
            ["a", "b", "c", "d", "e", "f"].map(|key| choose(key, servers.into_iter())).into();
        assert_eq!(chosen, [0, 1, 2, 2, 0, 0]);
    }
}
