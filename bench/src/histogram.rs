//! Latencies in buckets whose width grows with the value, so that millions of them take a fixed 15 KiB and any quantile
//! is right to within one part in 32.

/// Values below `2^BITS` have a bucket each; above, every power of two is cut into `2^BITS / 2` buckets.
const BITS: u32 = 6;
const HALF: usize = 1 << (BITS - 1);
const BUCKETS: usize = (64 - BITS as usize) * HALF + 2 * HALF;

/// Counts of values by size.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    highest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
            highest: 0,
        }
    }
}

impl Histogram {
    /// Adds one value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.highest = self.highest.max(value);
    }

    /// How many values were added.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The highest value, exactly.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The value that the share `q` of all values doesn't exceed (rounded up to its bucket's end); 0 when there is none.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((q * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        let mut passed = 0;
        for (index, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return upper_end(index).min(self.highest);
            }
        }
        self.highest
    }
}

fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= BITS {
        return value as usize;
    }
    let shift = bits - BITS;
    HALF * shift as usize + (value >> shift) as usize
}

fn upper_end(index: usize) -> u64 {
    if index < 2 * HALF {
        return index as u64;
    }
    let shift = index / HALF - 1;
    let step = (index - shift * HALF) as u128;
    u64::try_from(((step + 1) << shift) - 1).unwrap_or(u64::MAX)
}

/// The value in the middle, or between the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_within_one_part_in_32() {
        let mut values: Vec<u64> = (0..2_000).collect();
        values.extend((0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1]));
        values.push(u64::MAX);
        for value in values {
            let end = upper_end(bucket(value));
            assert!(end >= value, "{value} ends at {end}");
            assert!(end - value <= value / 32, "{value} ends at {end}");
        }
    }

    #[test]
    fn quantiles_of_a_thousand_values() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|v| histogram.record(v * 1_000));
        let near = |q: f64, v: u64| {
            let got = histogram.quantile(q);
            assert!(got >= v && got - v <= v / 32, "{q} is {got}, not {v}");
        };
        near(0.5, 500_000);
        near(0.99, 990_000);
        assert_eq!(histogram.quantile(1.0), 1_000_000);
        assert_eq!((histogram.count(), histogram.highest()), (1_000, 1_000_000));
    }

    #[test]
    fn nothing_recorded_is_zero_everywhere() {
        assert_eq!(Histogram::default().quantile(0.99), 0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
