package atna

import "time"

// trail remembers what was sent on a connection and has not settled. It stays
// short: marks that follow one another closely are one.
type trail struct {
	after time.Duration // between arriving and being settled
	marks []mark
	here  []stay
}

// mark says that everything before the record next is within so many bytes.
type mark struct {
	next  int64
	bytes int64
	time  time.Time // of the first record that it adds
}

// stay says since when everything before next has been there.
type stay struct {
	next         int64
	begun, since time.Time
}

const (
	closely  = 100 * time.Millisecond // what arrives within that time is one stay
	maxMarks = 1024                   // that have not arrived; more are joined to the last
)

func (t *trail) add(m mark) {
	if n := len(t.marks); n >= maxMarks {
		m.time = t.marks[n-1].time
		t.marks[n-1] = m
		return
	}
	t.marks = append(t.marks, m)
}

// advance learns that so many bytes have arrived by now. It returns up to which
// record everything has (0: nothing new) and has settled (0: nothing new).
func (t *trail) advance(bytes int64, now time.Time) (here, settled int64) {
	for len(t.marks) > 0 && t.marks[0].bytes <= bytes {
		here = t.marks[0].next
		t.marks = t.marks[1:]
	}
	if n := len(t.here); here > 0 && n > 0 && now.Sub(t.here[n-1].begun) < closely {
		t.here[n-1].next, t.here[n-1].since = here, now
	} else if here > 0 {
		t.here = append(t.here, stay{here, now, now})
	}
	for len(t.here) > 0 && now.Sub(t.here[0].since) >= t.after {
		settled = t.here[0].next
		t.here = t.here[1:]
	}
	return here, settled
}

// oldest is the time of the first record that was sent and has not arrived, or
// zero.
func (t *trail) oldest() time.Time {
	if len(t.marks) == 0 {
		return time.Time{}
	}
	return t.marks[0].time
}

// arrived reports whether everything that was sent has.
func (t *trail) arrived() bool { return len(t.marks) == 0 }

// empty reports whether everything has settled.
func (t *trail) empty() bool { return len(t.marks) == 0 && len(t.here) == 0 }
