package join

import (
	"net"
	"net/netip"
	"time"
)

const (
	// maxFailures is how many proofs of one source may fail in a window before its
	// failures are answered late, and with another error.
	maxFailures   = 5
	failureWindow = time.Minute
	// auditEvery is how often a source may have a line in the log.
	auditEvery = time.Second
	// maxSources bounds the memory; beyond it, new sources share one account.
	maxSources = 4096
	// forgetEvery is how often a full limiter looks for old accounts, which costs a
	// walk over all of them.
	forgetEvery = time.Second
)

// source is who a failure is charged to: an IPv4 address, or the /64 of an IPv6 one,
// which one subscriber owns whole. The zero source is everybody who has no address.
type source = netip.Prefix

func sourceOf(remote string) source {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return source{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return source{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return source{}
	}
	return prefix
}

// account is what is remembered of a source.
type account struct {
	// failures are the times of the last failures that were answered at once, oldest
	// first from next on.
	failures [maxFailures]time.Time
	next     int
	// logged is when it last had a line, and silent how many it did not get since.
	logged time.Time
	silent int
	// seen is when it was last used.
	seen time.Time
}

// limiter counts failures and log lines by source. It is pure: time is an argument,
// and its owner guards it.
type limiter struct {
	accounts map[source]*account
	// forgot is when old accounts were last looked for.
	forgot time.Time
}

func newLimiter() *limiter { return &limiter{accounts: map[source]*account{}} }

// fail records a failure, and reports whether it is one too many.
func (l *limiter) fail(from source, now time.Time) (excess bool) {
	account := l.account(from, now)
	oldest := account.failures[account.next]
	if !oldest.IsZero() && now.Sub(oldest) < failureWindow {
		return true
	}
	account.failures[account.next] = now
	account.next = (account.next + 1) % maxFailures
	return false
}

// line reports whether the source may have a line in the log now, and how many it
// had to do without since the last one.
func (l *limiter) line(from source, now time.Time) (silent int, ok bool) {
	account := l.account(from, now)
	if !account.logged.IsZero() && now.Sub(account.logged) < auditEvery {
		account.silent++
		return 0, false
	}
	silent = account.silent
	account.logged, account.silent = now, 0
	return silent, true
}

func (l *limiter) account(from source, now time.Time) *account {
	found := l.accounts[from]
	if found == nil {
		if len(l.accounts) >= maxSources && now.Sub(l.forgot) >= forgetEvery {
			l.forget(now)
		}
		if len(l.accounts) >= maxSources {
			from = source{}
		}
		if found = l.accounts[from]; found == nil {
			found = &account{}
			l.accounts[from] = found
		}
	}
	found.seen = now
	return found
}

// forget drops the accounts that no longer matter.
func (l *limiter) forget(now time.Time) {
	l.forgot = now
	for from, account := range l.accounts {
		if now.Sub(account.seen) >= failureWindow {
			delete(l.accounts, from)
		}
	}
}
