package track

import (
	"time"

	"cordon/network"
)

// list is conversations by when they were last heard.
type list struct {
	latest, oldest *flow
	n              int
}

func (l *list) add(f *flow) {
	f.home, f.older, f.newer = l, l.latest, nil
	if l.latest != nil {
		l.latest.newer = f
	} else {
		l.oldest = f
	}
	l.latest = f
	l.n++
}

func (l *list) remove(f *flow) {
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		l.latest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		l.oldest = f.newer
	}
	f.home, f.newer, f.older = nil, nil, nil
	l.n--
}

// coarse is how exactly the lists are in order.
const coarse = time.Second

func (t *Table) touch(now time.Time, f *flow) {
	if apart(now, f.heard) >= coarse {
		home := f.home
		home.remove(f)
		home.add(f)
		f.heard = now
		if apart(now, f.told) >= report {
			t.sink.Observe(f.report(now, t.conf.Sensor))
		}
	}
}

// change moves a conversation to another state, and says so.
func (t *Table) change(now time.Time, f *flow, s network.State) {
	if f.state == s {
		return
	}
	f.state = s
	home := &t.attempts
	if s == network.Established || s == network.Closed {
		home = &t.talks
	}
	f.home.remove(f)
	home.add(f)
	f.heard = now
	r := f.report(now, t.conf.Sensor)
	r.Changed = true
	t.sink.Observe(r)
}

// adopt gives a conversation to its caller, who gives up his oldest when he has too
// many.
func (t *Table) adopt(now time.Time, f *flow) {
	c := t.by[f.src]
	if c == nil {
		c = &caller{}
		t.by[f.src] = c
	}
	if c.n >= t.conf.PerCaller {
		t.stats.Displaced++
		t.drop(now, c.first)
		if c.n == 0 {
			t.by[f.src] = c
		}
	}
	if f.prev = c.last; c.last != nil {
		c.last.after = f
	} else {
		c.first = f
	}
	c.last = f
	c.n++
}

// room makes room for one more: attempts give way to attempts as long as they are
// half of all.
func (t *Table) room(now time.Time) {
	if len(t.flows) <= t.conf.Flows {
		return
	}
	t.stats.Displaced++
	if t.attempts.n > t.conf.Flows/2 || t.talks.n == 0 {
		t.drop(now, t.attempts.oldest)
		return
	}
	t.drop(now, t.talks.oldest)
}

// drop forgets a conversation, telling what was not told.
func (t *Table) drop(now time.Time, f *flow) {
	if f.packets > 0 && now.Sub(f.told) != 0 {
		t.sink.Observe(f.report(now, t.conf.Sensor))
	}
	f.home.remove(f)
	f.waits = false
	delete(t.flows, f.key)
	c := t.by[f.src]
	if f.prev != nil {
		f.prev.after = f.after
	} else {
		c.first = f.after
	}
	if f.after != nil {
		f.after.prev = f.prev
	} else {
		c.last = f.prev
	}
	if c.n--; c.n == 0 {
		delete(t.by, f.src)
	}
}

// Tick forgets what is over and tells what was proven. It should be called at least
// every tenth of a second: what is not proven in time is proven late.
func (t *Table) Tick(now time.Time) {
	t.prove(now)
	if apart(now, t.swept) < coarse {
		return
	}
	t.swept = now
	t.expire(now, &t.attempts)
	t.expire(now, &t.talks)
}

// expire looks at the oldest of a list. Those of one list are idle at different
// times; the rest is looked at when it has become the oldest.
func (t *Table) expire(now time.Time, l *list) {
	for f := l.oldest; f != nil; {
		newer := f.newer
		if apart(now, f.heard) <= idleClosed {
			return
		}
		if apart(now, f.heard) > f.idle() {
			t.drop(now, f)
		}
		f = newer
	}
}

// Close tells what was not told.
func (t *Table) Close(now time.Time) {
	for _, l := range []*list{&t.attempts, &t.talks} {
		for l.oldest != nil {
			t.drop(now, l.oldest)
		}
	}
}
