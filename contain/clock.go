package contain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cordon/alarm"
	"cordon/store"
)

// The time of a containment is time in which this machine ran: of that nobody can set
// the clock. While Cordon runs, the process's own clock tells; across a restart of
// Cordon, the machine's (clock_gettime(2), CLOCK_BOOTTIME), by what was written down.
// Time in which the machine was off does not count, since only a clock that can be set
// knows how long that was: a device may be free later than was said, never sooner. When
// it is to be free by the clock on the wall is put right then, on the ledger, and people
// are told if that is another time than was said by more than a few minutes.

const (
	// File is what is written down, in the data directory.
	File = "contain.time"

	remember = time.Minute     // how often that is done
	shifted  = 2 * time.Second // less is a clock that is being kept right
	aside    = 5 * time.Minute // from when on people are told
	maxFile  = 1 << 20         // bytes
)

// awake is a start of a machine, and the time since.
type awake struct {
	start string // as the kernel names it
	ran   time.Duration
}

func thisMachine() (m awake, err error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return m, err
	}
	var ran unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ran); err != nil {
		return m, fmt.Errorf("CLOCK_BOOTTIME: %w", err)
	}
	return awake{strings.TrimSpace(string(id)), time.Duration(ran.Nano())}, nil
}

// remembered is what is in File.
type remembered struct {
	Start string         `json:"start"` // of the machine
	Ran   time.Duration  `json:"ran"`   // at which the rest was so
	Left  map[int64]left `json:"left"`  // by containment
}

// left is the time that a containment has left, of one that is to end then.
type left struct {
	Until int64         `json:"until"` // microseconds since 1970
	Left  time.Duration `json:"left"`
}

// recall reads File. Without it, nothing is known.
func (c *Containments) recall() (r remembered) {
	if c.parts.Dir == "" {
		return r
	}
	text, err := store.ReadPrivate(filepath.Join(c.parts.Dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%d bytes", len(text))
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		c.parts.Log.Error("how long devices were contained is not known: their time begins anew", "file", File, "error", err)
		return remembered{}
	}
	return r
}

// remains is the time that a containment has left. One of which nothing is known has
// all of its time; that may be more than it has, never less.
func (r remembered) remains(e entry, m awake) time.Duration {
	l, known := r.Left[e.ID]
	switch {
	case !known || l.Until != micros(e.Until):
		return min(max(e.Until.Sub(e.Since), time.Until(e.Until)), longest)
	case m.start != "" && m.start == r.Start:
		return l.Left - (m.ran - r.Ran)
	}
	return l.Left - m.ran
}

// remember writes down what time each has left. The caller holds mu.
func (c *Containments) remember() {
	if c.parts.Dir == "" {
		return
	}
	m, err := c.parts.awake()
	r := remembered{Start: m.start, Ran: m.ran, Left: map[int64]left{}}
	for _, e := range c.now {
		if !e.ends.IsZero() {
			r.Left[e.ID] = left{micros(e.Until), time.Until(e.ends)}
		}
	}
	if len(r.Left) == 0 && !c.written {
		return
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(r)
	}
	if err == nil {
		err = store.WriteFile(filepath.Join(c.parts.Dir, File), text, 0o600)
	}
	if err != nil {
		c.parts.Log.Error("what time contained devices have left is not written down: after a restart it begins anew", "error", err)
		return
	}
	c.written = len(r.Left) > 0
}

// keepTime puts right when containments end by the clock on the wall, and writes down
// what time they have left. The caller holds mu.
func (c *Containments) keepTime(ctx context.Context) error {
	defer c.remember()
	var errs []error
	for i := range c.now {
		errs = append(errs, c.rightUntil(ctx, &c.now[i]))
	}
	return errors.Join(errs...)
}

// rightUntil puts one right, if its clock was set or its machine was off.
func (c *Containments) rightUntil(ctx context.Context, e *entry) error {
	if e.ends.IsZero() || e.State == Restoring {
		return nil
	}
	next := *e
	next.Until = time.Now().Round(0).Add(time.Until(e.ends)).UTC().Truncate(time.Microsecond)
	by := next.Until.Sub(e.Until)
	if by.Abs() <= shifted {
		return nil
	}
	body := next.body()
	body["was"] = e.Until
	if err := c.journal(ctx, "containment.clock", body, next.update); err != nil {
		return fmt.Errorf("when the containment of %s ends is not recorded: %w", e.Device, err)
	}
	was := e.Until
	*e = next
	c.parts.Log.Warn("a containment ends at another time by this machine's clock", "device", e.Device, "was", was, "until", e.Until)
	if by.Abs() > aside {
		c.raise(ctx, alarm.Alarm{Kind: "containment.clock", Subject: e.Device, Link: "/devices/" + e.Device + "/contain", Text: fmt.Sprintf(
			"%s was to be free at %s and is at %s: this machine was off, or its clock was set, and neither shortens a containment.",
			e.Device, was.Local().Format("15:04 on 2 January"), e.Until.Local().Format("15:04 on 2 January"))})
	}
	return nil
}
