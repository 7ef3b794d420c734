//! The bounds of a fan-out, and the table of its figures.

use domain::limits;

use crate::{
    PROCESSES,
    gateway::{Connection, Micros, SECOND},
    world::{Figures, HAND_OVER, READ_PAGE, Scenario},
};

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Posts to healthy connections: at most 1.1 for each.
    Posts,
    /// Healthy connections that are closed: none.
    Closed,
    /// Every healthy connection is reached.
    Reached,
    /// The last of them in time: see [`time_max`].
    Time,
    /// Of other orders' pushes, at most a tenth is throttled.
    Others,
    /// Every bad connection is closed or forgotten, in time: see [`BAD_BY`].
    Bad,
    /// Posts to bad connections: at most sixteen for each on average, and [`POSTS_TO_ONE_BAD`] for one.
    PostsToBad,
}

/// How long bad connections stay, beyond the time of the healthy ones: one in a hundred, and a whole page of them.
const BAD_BY: Micros = 60 * SECOND;
/// See [`BAD_BY`]. In a round a tenth of a page is closed, so that a page takes half an hour or so.
const BAD_PAGE_BY: Micros = 3_600 * SECOND;

/// Four attempts in each of a few rounds; if nobody of a page is served, in as many rounds as it takes to close the page.
const POSTS_TO_ONE_BAD: u32 = 40;
/// See [`POSTS_TO_ONE_BAD`].
const POSTS_TO_ONE_OF_A_BAD_PAGE: u32 = 200;

pub(crate) fn broken(scenario: &Scenario, figures: &Figures) -> Vec<Bound> {
    let subscribers = u64::from(scenario.subscribers);
    let bad = (0..scenario.subscribers).filter(|id| (scenario.kind)(*id) != Connection::Healthy).count() as u64;
    let is_page = bad > subscribers / 100;
    let (bad_by, to_one) = if is_page { (BAD_PAGE_BY, POSTS_TO_ONE_OF_A_BAD_PAGE) } else { (BAD_BY, POSTS_TO_ONE_BAD) };
    let bounds = [
        (Bound::Posts, (figures.posts - figures.posts_to_bad) * 10 <= (subscribers - bad) * 11),
        (Bound::Closed, figures.healthy_closed == 0),
        (Bound::Reached, figures.healthy_reached == subscribers - bad),
        (Bound::Time, figures.healthy_by <= time_max(scenario)),
        (Bound::Others, figures.others_refused <= 0.1),
        (Bound::Bad, figures.bad_settled == bad && figures.bad_by <= time_max(scenario) + bad_by),
        (Bound::PostsToBad, figures.posts_to_bad <= 16 * bad && figures.posts_to_one_bad <= to_one),
    ];
    bounds.into_iter().filter(|(_, holds)| !holds).map(|(bound, _)| bound).collect()
}

/// 1.3 of what the posts take at the rate that others leave, and for one hop and one page: from the append to a page that
/// is read, a page at one process's share of the quota, and the longest delay before a second round.
pub(crate) fn time_max(scenario: &Scenario) -> Micros {
    let left = u64::from(left(scenario)).max(1);
    let posts = u64::from(scenario.subscribers) * SECOND * 13 / 10 / left;
    let page =
        limits::PAGE_SUBSCRIBERS_MAX as u64 * PROCESSES as u64 * SECOND / u64::from(scenario.per_second) * 10 / 9;
    let second_round = limits::RETRY_DELAY_FIRST.as_secs() * SECOND;
    posts + HAND_OVER + READ_PAGE + page + second_round + silence(scenario) + outage(scenario)
}

/// A page with a connection that does not answer takes as long as all attempts to reach it.
fn silence(scenario: &Scenario) -> Micros {
    let is_dead = |id| (scenario.kind)(id) == Connection::Dead;
    let pages = (0..scenario.subscribers).collect::<Vec<_>>();
    let pages = pages.chunks(limits::PAGE_SUBSCRIBERS_MAX).filter(|page| page.iter().any(|id| is_dead(*id))).count();
    let attempts = limits::PUSH_TIME_OUT.as_secs() * u64::from(limits::PUSH_SILENT_TRIES_MAX) * SECOND;
    pages.div_ceil(PROCESSES) as u64 * attempts
}

/// After an outage the pages come back within the longest delay.
fn outage(scenario: &Scenario) -> Micros {
    let delay = if scenario.outage_s > 0 { limits::RETRY_DELAY_MAX.as_secs() } else { 0 };
    (scenario.outage_s + delay) * SECOND
}

/// The rate that other orders leave.
fn left(scenario: &Scenario) -> u32 {
    scenario.per_second.saturating_sub(scenario.others_per_second)
}

pub(crate) fn heading() -> String {
    let columns = "| subscribers | rate | left | posts | time, s | at most | own 429 | others' 429 | closed | bad | by, s \
                   | posts to one | gets | deletes |";
    format!("{columns}\n{}|\n", "| --- ".repeat(14))
}

pub(crate) fn row(scenario: &Scenario, figures: &Figures) -> String {
    let seconds = |at: Micros| at as f64 / SECOND as f64;
    format!(
        "| {} | {} | {} | {:.3} | {:.1} | {:.1} | {:.1} % | {:.1} % | {} | {} | {:.0} | {} | {} | {} |\n",
        scenario.subscribers,
        scenario.per_second,
        left(scenario),
        figures.posts as f64 / f64::from(scenario.subscribers),
        seconds(figures.healthy_by),
        seconds(time_max(scenario)),
        100.0 * figures.own_refused,
        100.0 * figures.others_refused,
        figures.healthy_closed,
        figures.bad_settled,
        seconds(figures.bad_by),
        figures.posts_to_one_bad,
        figures.gets,
        figures.deletes,
    )
}
