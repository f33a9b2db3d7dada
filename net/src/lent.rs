//! A thread that is lent to one conversation while it is in haste.
//!
//! ```text
//! poll the conversation ─ready─→ what was put off, then the thread is given back
//!    ▲       └─pending─→ what was put off, then poll(2): the conversation's own sockets, and a bell for
//!    │                   whoever else wakes it ─┐
//!    └──────────────────────────────────────────┘
//! ```
//!
//! Where conversations share threads, each word of a client wakes the thread that watches all sockets and often another
//! one, and each visit to a disk wakes two or three. A client that fetches or stores one small file after the other pays
//! for that several times a file, and more than for the file. On a thread of its own one word wakes one thread, and what
//! may wait for the disk is done there and then. What its client does not wait for, like the line in the log, is put off until
//! it has its answer, and is busy with it.
//!
//! Invariants: what is put off is done once, in order, before the conversation waits and before the thread is given back; no more threads are lent than a [`Lender`] has; a conversation that hears nothing for [`QUIET`], or has had
//! its thread for half a second, gives it back; all others go on meanwhile on as many threads as before.
//! Not here: who is in haste (desk), what is done with the thread (drive, data).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who hears nothing for so long is in no haste. Some round trips within a town, or a sync of a slow disk.
pub const QUIET: Duration = Duration::from_millis(20);

/// So long a thread is lent at once; then its borrower is asked whether the house closes, and may have it again.
const TERM: Duration = Duration::from_millis(500);

/// Who waits longer for a thread has met a crowd: all that may wait for a disk do so, and what is left to another one would
/// wait with them. A busy machine alone takes less.
const PROMPT: Duration = Duration::from_millis(20);

/// So long nobody asks again after that.
const CROWDED: Duration = Duration::from_secs(1);

/// Lends threads. Clones lend from the same stock; the default has none.
#[derive(Debug, Clone, Default)]
pub struct Lender(Option<Arc<Stock>>);

#[derive(Debug)]
struct Stock {
    free: Arc<Semaphore>,
    prompt: Duration,
    crowded_until: Mutex<Option<Instant>>,
}

/// What is borrowed.
pub(crate) struct Loan {
    bell: Arc<Bell>,
    _permit: OwnedSemaphorePermit,
}

impl Lender {
    /// So many threads at once, of those of the runtime that may block.
    pub fn new(threads_max: usize) -> Self {
        Lender::patient(threads_max, PROMPT)
    }

    fn patient(threads_max: usize, prompt: Duration) -> Self {
        let free = Arc::new(Semaphore::new(threads_max));
        Lender(Some(Arc::new(Stock { free, prompt, crowded_until: Mutex::default() })))
    }

    /// However busy the machine is.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Lender::patient(1, Duration::from_secs(60))
    }

    /// A thread, if there is one to spare.
    pub(crate) async fn lend(&self) -> Option<Loan> {
        let stock = self.0.as_ref()?;
        if Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread || stock.is_crowded() {
            return None;
        }
        let permit = Arc::clone(&stock.free).try_acquire_owned().ok()?;
        let bell = Arc::new(Bell::new().ok()?);
        // Its borrower leaves all else to another thread. Were all of them waiting for a disk, all else would wait, too.
        match tokio::time::timeout(stock.prompt, tokio::task::spawn_blocking(|| ())).await {
            Ok(_) => Some(Loan { bell, _permit: permit }),
            Err(_) => {
                stock.note_crowd();
                None
            }
        }
    }
}

impl Stock {
    fn is_crowded(&self) -> bool {
        let until = *self.crowded_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn note_crowd(&self) {
        *self.crowded_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + CROWDED);
    }
}

impl Loan {
    /// Runs this here, and gives all else that this thread has to do to another one.
    pub(crate) fn run<T>(self, conversation: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| {
            let waker = Waker::from(Arc::clone(&self.bell));
            let _turn = Turn::begin();
            let mut conversation = pin!(conversation);
            loop {
                if let Poll::Ready(said) = conversation.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return said;
                }
                wait(&self.bell);
            }
        })
    }
}

thread_local! {
    /// Only while this thread is lent.
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

struct Turn {
    until: Instant,
    is_over: bool,
    /// What the conversation waits for since it was polled last.
    awaited: Vec<(Arc<TcpStream>, PollFlags)>,
    /// Sockets where there was something when it was polled last.
    come: Vec<RawFd>,
    put_off: Vec<Box<dyn FnOnce()>>,
}

/// Ends the turn of this thread when it is dropped.
struct TurnEnd;

impl Turn {
    fn begin() -> TurnEnd {
        let until = Instant::now() + TERM;
        let (awaited, come, put_off) = <(Vec<_>, Vec<_>, Vec<_>)>::default();
        TURN.set(Some(Turn { until, is_over: false, awaited, come, put_off }));
        TurnEnd
    }

    /// What it says of the turn of this thread, if it is lent.
    fn with<T>(ask: impl FnOnce(&mut Turn) -> T) -> Option<T> {
        TURN.with_borrow_mut(|turn| turn.as_mut().map(ask))
    }
}

impl Drop for TurnEnd {
    fn drop(&mut self) {
        do_what_was_put_off();
        TURN.set(None);
    }
}

/// Whether this thread is lent: then it may wait for the disk.
pub fn is_lent() -> bool {
    TURN.with_borrow(Option::is_some)
}

/// Puts off what no client waits for until the conversation has nothing else to do. Done at once if this thread is not lent.
pub fn put_off(doing: impl FnOnce() + 'static) {
    let mut doing = Some(doing);
    Turn::with(|turn| turn.put_off.extend(doing.take().map(|doing| Box::new(doing) as _)));
    if let Some(doing) = doing {
        doing();
    }
}

/// What is put off meanwhile waits for the next time.
fn do_what_was_put_off() {
    let waiting = Turn::with(|turn| std::mem::take(&mut turn.put_off));
    waiting.into_iter().flatten().for_each(|doing| doing());
}

/// Whether this thread is lent, and should be given back.
pub(crate) fn is_over() -> bool {
    Turn::with(|turn| turn.is_over).unwrap_or(false)
}

/// Whether something has come on a socket that was waited for. Says so once.
pub(crate) fn has_come(socket: &TcpStream) -> bool {
    let take = |turn: &mut Turn| {
        let at = turn.come.iter().position(|come| *come == socket.as_raw_fd())?;
        Some(turn.come.swap_remove(at))
    };
    Turn::with(take).flatten().is_some()
}

/// The conversation is to be polled again when something has come. False if this thread is not lent.
pub(crate) fn await_input(socket: &Arc<TcpStream>) -> bool {
    await_socket(socket, PollFlags::IN)
}

/// The same, for when it takes more.
pub(crate) fn await_room(socket: &Arc<TcpStream>) -> bool {
    await_socket(socket, PollFlags::OUT)
}

fn await_socket(socket: &Arc<TcpStream>, what: PollFlags) -> bool {
    let is_the_same = |(awaited, of): &(Arc<TcpStream>, PollFlags)| Arc::ptr_eq(awaited, socket) && *of == what;
    let note = |turn: &mut Turn| {
        // It may be polled again before it waits.
        if !turn.awaited.iter().any(is_the_same) {
            turn.awaited.push((Arc::clone(socket), what));
        }
    };
    Turn::with(note).is_some()
}

/// A socket alone, whoever else has it.
pub(crate) fn owned(socket: Arc<TcpStream>) -> io::Result<TcpStream> {
    Arc::try_unwrap(socket).or_else(|socket| socket.try_clone())
}

/// Waits until something has come. False, perhaps after a while, if this thread is not lent: then ask the reactor.
pub(crate) async fn readable(socket: &Arc<TcpStream>) -> bool {
    poll_fn(|_| match has_come(socket) {
        true => Poll::Ready(true),
        false if await_input(socket) => Poll::Pending,
        false => Poll::Ready(false),
    })
    .await
}

/// Waits until the conversation should be polled again.
fn wait(bell: &Bell) {
    do_what_was_put_off();
    let begin = |turn: &mut Turn| {
        turn.come.clear();
        let is_told = turn.is_over;
        turn.is_over |= Instant::now() >= turn.until;
        (std::mem::take(&mut turn.awaited), is_told, turn.is_over)
    };
    let Some((awaited, is_told, is_over)) = Turn::with(begin) else { return };
    if is_over != is_told || !bell.may_sleep() {
        return;
    }
    let mut ready = Vec::with_capacity(awaited.len() + 1);
    ready.push(PollFd::new(&bell.handle, PollFlags::IN));
    ready.extend(awaited.iter().map(|(socket, what)| PollFd::new(socket, *what)));
    let limit = Timespec { tv_sec: 0, tv_nsec: QUIET.subsec_nanos().into() };
    // Who was told and has still something to end need not be told again.
    let woken = poll(&mut ready, (!is_told).then_some(&limit));
    bell.awake(!ready[0].revents().is_empty());
    let come = awaited.iter().zip(&ready[1..]).filter(|(_, ready)| !ready.revents().is_empty());
    Turn::with(|turn| {
        turn.come.extend(come.map(|((socket, _), _)| socket.as_raw_fd()));
        turn.is_over |= matches!(woken, Ok(0)) || woken.is_err_and(|errno| errno != rustix::io::Errno::INTR);
    });
}

/// What whoever is on another thread wakes the conversation by.
#[derive(Debug)]
struct Bell {
    state: AtomicU8,
    handle: OwnedFd,
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

impl Bell {
    fn new() -> io::Result<Self> {
        let handle = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { state: AtomicU8::new(AWAKE), handle })
    }

    /// Whether nobody has rung since it was awake.
    fn may_sleep(&self) -> bool {
        let slept = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        slept.inspect_err(|_| _ = self.state.swap(AWAKE, Ordering::AcqRel)).is_ok()
    }

    /// Ends a sleep; `is_heard`: by the handle.
    fn awake(&self, is_heard: bool) {
        // Who rings says so first, and the handle may hear of it only later. Then the next sleep is a short one, and that one alone.
        if self.state.swap(AWAKE, Ordering::AcqRel) == RUNG || is_heard {
            let _ = rustix::io::read(&self.handle, &mut [0; 8]);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            let _ = rustix::io::write(&self.handle, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::channel;
    use tokio::sync::oneshot;

    /// Two ends of a connection on loopback. Ours does not block.
    fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let theirs = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (ours, _) = listener.accept().expect("accepted");
        ours.set_nonblocking(true).expect("it does not block");
        (theirs, Arc::new(ours))
    }

    /// Does something on a thread that is lent. One thread runs all tasks but this one.
    fn lent<T: Send + 'static>(doing: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let borrower = runtime.spawn(async {
            let loan = Lender::for_tests().lend().await.expect("a thread");
            loan.run(doing)
        });
        runtime.block_on(borrower).expect("it does not panic")
    }

    #[test]
    fn what_comes_is_heard_and_other_tasks_go_on_meanwhile() {
        let (theirs, ours) = pair();
        lent(async move {
            assert!(is_lent());
            for _ in 0..3 {
                // Were this thread not replaced, nobody would write.
                let mut writing = theirs.try_clone().expect("another handle");
                tokio::spawn(async move { writing.write_all(b"x").expect("written") });
                assert!(readable(&ours).await);
                assert_eq!((&*ours).read(&mut [0; 8]).expect("something"), 1);
            }
            assert!(!has_come(&ours), "it is said once");
            drop(theirs);
        });
    }

    #[test]
    fn whoever_wakes_it_from_elsewhere_is_heard() {
        lent(async {
            for _ in 0..100 {
                let (say, said) = oneshot::channel();
                tokio::spawn(async { say.send("heard").expect("somebody listens") });
                assert_eq!(said.await, Ok("heard"));
                assert_eq!(tokio::task::spawn_blocking(|| 7).await.expect("it does not panic"), 7);
            }
        });
    }

    #[test]
    fn a_ring_that_is_late_makes_one_sleep_short_and_no_more() {
        let bell = Bell::new().expect("a bell");
        let is_heard = || {
            let mut ready = [PollFd::new(&bell.handle, PollFlags::IN)];
            poll(&mut ready, Some(&Timespec::default())).expect("it polls") == 1
        };
        assert!(bell.may_sleep());
        // It has rung, and has not come to the handle.
        assert_eq!(bell.state.swap(RUNG, Ordering::AcqRel), ASLEEP);
        bell.awake(is_heard());
        rustix::io::write(&bell.handle, &1u64.to_ne_bytes()).expect("written");
        assert!(bell.may_sleep() && is_heard());
        bell.awake(is_heard());
        assert!(bell.may_sleep() && !is_heard());
    }

    #[test]
    fn it_is_given_back_when_nothing_comes_and_when_the_term_is_over() {
        let (theirs, ours) = pair();
        lent(async move {
            await_input(&ours);
            poll_fn(|_| if is_over() { Poll::Ready(()) } else { Poll::Pending }).await;
            drop(theirs);
        });
        lent(async {
            // It is never silent.
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if is_over() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
    }

    #[test]
    fn what_is_put_off_is_done_in_order_before_it_waits_and_before_the_thread_is_given_back() {
        let (say, heard) = channel();
        lent(async move {
            let note = |word: &'static str| {
                let say = say.clone();
                move || say.send(word).expect("somebody listens")
            };
            put_off(note("first"));
            put_off(note("second"));
            note("answer")();
            poll_fn(polled_once()).await;
            note("polled again")();
            put_off(note("last"));
            note("end")();
        });
        let words: Vec<_> = heard.iter().collect();
        assert_eq!(words, ["answer", "first", "second", "polled again", "end", "last"]);
    }

    /// Pending once, and woken from elsewhere.
    fn polled_once() -> impl FnMut(&mut Context<'_>) -> Poll<()> {
        let mut polled = false;
        move |cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            tokio::spawn(async move { waker.wake() });
            Poll::Pending
        }
    }

    #[test]
    fn elsewhere_nothing_is_put_off() {
        let done = std::rc::Rc::new(std::cell::Cell::new(false));
        let note = std::rc::Rc::clone(&done);
        put_off(move || note.set(true));
        assert!(done.get());
    }

    #[test]
    fn elsewhere_the_reactor_is_asked() {
        let (mut theirs, ours) = pair();
        theirs.write_all(b"x").expect("written");
        let mut readable = pin!(readable(&ours));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(readable.as_mut().poll(&mut cx), Poll::Ready(false));
        assert!(!is_lent() && !is_over());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn no_more_are_lent_than_there_are() {
        let lender = Lender::for_tests();
        let loan = lender.lend().await;
        assert!(loan.is_some());
        assert!(lender.clone().lend().await.is_none());
        drop(loan);
        assert!(lender.lend().await.is_some());
        assert!(Lender::default().lend().await.is_none());
    }

    #[tokio::test]
    async fn none_is_lent_where_there_is_only_one() {
        assert!(Lender::new(1).lend().await.is_none());
    }

    #[test]
    fn none_is_lent_while_those_that_wait_for_disks_have_run_short() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).max_blocking_threads(1).enable_all().build().expect("a runtime");
        let (end, ended) = channel::<()>();
        runtime.spawn_blocking(move || ended.recv());
        let lender = Lender::new(1);
        let asked = lender.clone();
        assert!(runtime.block_on(runtime.spawn(async move { asked.lend().await.is_none() })).expect("no panic"));
        assert!(lender.0.as_ref().expect("a stock").is_crowded());
        drop(end);
    }
}
