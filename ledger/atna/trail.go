package atna

import "time"

// trail remembers what was sent in a session and has not arrived.
type trail struct{ marks []mark }

// mark says that everything before the record next is within so many bytes.
type mark struct {
	next  int64
	bytes int64
	time  time.Time // of the first record that it adds
}

// maxMarks bounds the marks that have not arrived; more are joined to the last.
const maxMarks = 1024

func (t *trail) add(m mark) {
	if n := len(t.marks); n >= maxMarks {
		m.time = t.marks[n-1].time
		t.marks[n-1] = m
		return
	}
	t.marks = append(t.marks, m)
}

// advance learns that so many bytes have arrived, and returns up to which record
// everything has; 0: nothing new.
func (t *trail) advance(bytes int64) (next int64) {
	for len(t.marks) > 0 && t.marks[0].bytes <= bytes {
		next = t.marks[0].next
		t.marks = t.marks[1:]
	}
	return next
}

// oldest is the time of the first record that was sent and has not arrived, or
// zero.
func (t *trail) oldest() time.Time {
	if len(t.marks) == 0 {
		return time.Time{}
	}
	return t.marks[0].time
}
