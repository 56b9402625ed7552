package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/alarm"
	"cordon/ledger"
	"cordon/store"
)

// inbox is a recipient in this process.
type inbox struct {
	mu   sync.Mutex
	got  []Message
	fail error
}

func (*inbox) Name() string { return "inbox" }

func (b *inbox) Send(_ context.Context, m Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.got = append(b.got, m)
	return nil
}

func (b *inbox) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *inbox) messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// events are all that arrived, "what kind".
func (b *inbox) events() (all []string) {
	for _, m := range b.messages() {
		for _, e := range m.Events {
			all = append(all, strings.TrimSpace(string(e.What)+" "+e.Kind))
		}
	}
	return all
}

// site is a data directory, whose queue can be stopped and started.
type site struct {
	db     *store.DB
	ledger *ledger.Ledger
	config Config
	alarms *alarm.Alarms
	queue  *Notices
	stop   func()
}

func newSite(t *testing.T, c Config) *site {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), alarm.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c.Site, c.Retry = "Test Hospital", 20*time.Millisecond
	for i := range c.Recipients {
		c.Recipients[i].Gather = 10 * time.Millisecond
	}
	s := &site{db: db, ledger: l, config: c}
	t.Cleanup(func() { s.down(); db.Close() })
	s.up(t)
	return s
}

// up starts the queue, as after a restart.
func (s *site) up(t *testing.T) {
	t.Helper()
	var err error
	if s.queue, err = Open(t.Context(), s.db, s.config); err != nil {
		t.Fatal(err)
	}
	if s.alarms, err = alarm.Open(t.Context(), s.db, s.ledger, alarm.Options{Changed: s.queue.Changed, Settle: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	var wg sync.WaitGroup
	wg.Go(func() { s.alarms.Run(ctx, log) })          // ends with down
	wg.Go(func() { s.queue.Run(ctx, s.alarms, log) }) // ends with down
	s.stop = func() { cancel(); wg.Wait() }
}

func (s *site) down() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

func (s *site) raise(t *testing.T, kind, subject string) {
	t.Helper()
	if err := s.alarms.Raise(t.Context(), alarm.Alarm{Kind: kind, Subject: subject, Text: "DOE^JOHN 4711 1.2.840.113619.2.1"}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestEachIsToldWhatItWants(t *testing.T) {
	all, critical, archives := &inbox{}, &inbox{}, &inbox{}
	s := newSite(t, Config{Recipients: []Recipient{
		{Name: "all", Way: all, Severity: alarm.Info},
		{Name: "critical", Way: critical, Severity: alarm.Critical},
		{Name: "archives", Way: archives, Kinds: []string{"archive"}},
	}})
	s.raise(t, "device.waiting", "")
	s.raise(t, "engine.down", "clamd")
	s.raise(t, "archive.away", "pacs")
	eventually(t, "everything is told", func() bool { return len(all.events()) == 3 })
	eventually(t, "an archive is told", func() bool { return len(archives.events()) == 1 && len(critical.events()) == 1 })
	if got := critical.events(); got[0] != "raised archive.away" {
		t.Error(got)
	}
	s.alarms.Clear(t.Context(), "archive.away", "pacs")
	eventually(t, "the end is told", func() bool { return len(archives.events()) == 2 && archives.events()[1] == "ended archive.away" })
}

func TestTenThousandAlarmsAreOneMessage(t *testing.T) {
	for range 20 {
		desk, took := tenThousand(t)
		if took >= time.Second {
			continue // they were not raised at once: alarms are written each second
		}
		if n := len(desk.messages()); n > 2 { // a second may end in between
			t.Errorf("%d messages", n)
		}
		last := desk.messages()[len(desk.messages())-1]
		if last.Events[0].Kind != "ledger.cut" || len(last.Text()) > 64<<10 {
			t.Errorf("%+v, %d bytes", last.Events[0], len(last.Text()))
		}
		return
	}
	t.Error("this machine is too busy to raise 10,000 alarms in a second")
}

// tenThousand alarms are raised and told, which took so long until all were raised.
func tenThousand(t *testing.T) (desk *inbox, took time.Duration) {
	t.Helper()
	desk = &inbox{}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "desk", Way: desk}}})
	began := time.Now()
	for i := range 9_999 {
		s.raise(t, "network.NET-SCAN", fmt.Sprint("device ", i))
	}
	s.raise(t, "ledger.cut", "")
	took = time.Since(began)
	eventually(t, "it is told", func() bool {
		told := 0
		for _, m := range desk.messages() {
			told += len(m.Events) + m.More
		}
		return told == 10_000
	})
	return desk, took
}

// Whatever peers make up stays here: an alarm's text always, its subject unless it
// is a name of the configuration.
func TestNoPatientDataLeaves(t *testing.T) {
	desk := &inbox{}
	s := newSite(t, Config{
		Recipients: []Recipient{{Name: "desk", Way: desk, Severity: alarm.Info}},
		Known:      func(word string) bool { return word == "ct-1" || word == "eicar" },
	})
	hostile := []string{"DOE^JOHN", "4711-0815", "1.2.840.113619.2.55.3.604688119", "ct-1: DOE^JANE", "DOE^JIM: eicar", "ct-1\u202e", "CT-1"}
	for _, h := range hostile {
		s.raise(t, "object.held", h)
		s.raise(t, "network."+h, h)
	}
	s.raise(t, "object.held", "ct-1: eicar")
	eventually(t, "they are told", func() bool {
		return slices.ContainsFunc(desk.messages(), func(m Message) bool { return strings.Contains(m.Text(), "(ct-1: eicar)") })
	})
	for _, m := range desk.messages() {
		said := fmt.Sprintf("%+v %s %s", m, m.Subject(), m.Text())
		for _, e := range m.Events {
			said += e.pairs(m)
		}
		for _, secret := range []string{"DOE", "JOHN", "JANE", "JIM", "4711", "0815", "840", "\u202e", "CT-1"} {
			if strings.Contains(said, secret) {
				t.Errorf("%q leaves: %s", secret, said)
			}
		}
	}
}

func TestNothingIsLostWhileARecipientIsAway(t *testing.T) {
	desk := &inbox{fail: errors.New("away")}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "desk", Way: desk}}, Alarm: time.Millisecond})
	s.raise(t, "archive.away", "pacs")
	eventually(t, "that is an alarm", func() bool { return len(s.alarms.List(alarm.Filter{Kind: "notice.undelivered"})) == 1 })
	states, err := s.queue.States(t.Context())
	if err != nil || states[0].Error != "away" || states[0].Failing.IsZero() || states[0].Waiting == 0 {
		t.Error(states, err)
	}
	s.down()
	s.up(t)
	s.raise(t, "engine.down", "clamd")
	desk.set(nil)
	eventually(t, "all is told", func() bool {
		got := desk.events()
		return slices.Contains(got, "raised archive.away") && slices.Contains(got, "raised engine.down")
	})
	eventually(t, "the alarm ends", func() bool { return len(s.alarms.List(alarm.Filter{Kind: "notice.undelivered"})) == 0 })
}

// A message that has to be repeated is the same under the same id, also after a
// crash between the recipient's answer and ours.
func TestRepeatedMessageIsTheSame(t *testing.T) {
	desk := &inbox{}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "desk", Way: desk}}})
	s.raise(t, "archive.away", "pacs")
	eventually(t, "it is told", func() bool { return len(desk.messages()) == 1 })
	s.down()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error { // as if the cursor had not moved
		_, err := tx.Exec(`UPDATE notice_recipient SET upto = sent, sent = 0`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.up(t)
	s.raise(t, "engine.down", "clamd")
	eventually(t, "both are told", func() bool { return len(desk.messages()) == 3 })
	got := desk.messages()
	if got[0].ID != got[1].ID || len(got[1].Events) != 1 || got[2].ID == got[1].ID || got[2].Events[0].Kind != "engine.down" {
		t.Errorf("%+v", got)
	}
}

func TestNobodyAcknowledgesSoTheNextIsCalled(t *testing.T) {
	desk, pager := &inbox{}, &inbox{}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "desk", Way: desk}, {Name: "pager", Way: pager, After: 1500 * time.Millisecond, Severity: alarm.Critical}}})
	s.raise(t, "archive.away", "pacs")
	if _, err := s.alarms.Acknowledge(t.Context(), s.alarms.List(alarm.Filter{Kind: "archive.away"})[0].ID, alarm.Request{By: "ann"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.raise(t, "ledger.cut", "")
	s.raise(t, "engine.down", "clamd")
	eventually(t, "the desk is told", func() bool { return len(desk.events()) == 3 })
	eventually(t, "the pager is called", func() bool { return len(pager.events()) == 1 })
	if waited := time.Since(began); waited < 1500*time.Millisecond {
		t.Errorf("the pager was called after %v", waited)
	}
	s.down()
	s.up(t)
	time.Sleep(1200 * time.Millisecond) // it looks again
	if got := pager.events(); len(got) != 1 || got[0] != "unacknowledged ledger.cut" {
		t.Error(got)
	}
}

func TestHeartbeatIsHeard(t *testing.T) {
	desk, other := &inbox{}, &inbox{}
	s := newSite(t, Config{
		Recipients: []Recipient{{Name: "desk", Way: desk}, {Name: "other", Way: other}},
		Heartbeat:  1100 * time.Millisecond, Beats: []string{"desk"},
	})
	eventually(t, "it beats", func() bool { return len(desk.events()) >= 2 })
	if got := desk.messages()[0]; got.Events[0].What != Alive || !strings.Contains(got.Subject(), "is alive") || len(other.messages()) != 0 {
		t.Errorf("%+v", got)
	}
	s.down()
}

func TestTrialSaysWhatBecameOfIt(t *testing.T) {
	good, bad := &inbox{}, &inbox{fail: errors.New("no route to host")}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "good", Way: good}, {Name: "bad", Way: bad}}})
	results, err := s.queue.Test(t.Context(), "")
	if err != nil || len(results) != 2 || results[0].Error != "" || results[1].Error != "no route to host" {
		t.Error(results, err)
	}
	if got := good.events(); len(got) != 1 || got[0] != "test" {
		t.Error(got)
	}
	if _, err := s.queue.Test(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	desk := &inbox{fail: errors.New("away")}
	s := newSite(t, Config{Recipients: []Recipient{{Name: "desk", Way: desk}}})
	s.down()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := put(tx, "", Event{What: alarm.Raised, Severity: alarm.Critical}); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'notice_event'`, MaxEvents)
		if err == nil {
			err = put(tx, "", Event{What: alarm.Raised, Kind: "ledger.cut", Severity: alarm.Critical})
		}
		if err == nil {
			_, err = tx.Exec(`UPDATE notice_recipient SET sent = 1`)
		}
		if err == nil {
			err = prune(tx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	desk.set(nil)
	s.up(t)
	eventually(t, "what is left is told", func() bool { return slices.Contains(desk.events(), "raised ledger.cut") })
	eventually(t, "that is an alarm", func() bool { return len(s.alarms.List(alarm.Filter{Kind: "notice.skipped"})) == 1 })
}
