package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"
)

// charge is what one event says against somebody, or of what was done to him.
type charge struct {
	host    host
	addr    netip.Addr
	peer    netip.Addr
	peers   []netip.Addr // further ones
	group   string
	flow    *Flow // nil: none; what follows is said instead
	at      time.Time
	service string
	sensor  string

	proof    Proof
	counted  bool     // proof is of a count; else it is the flow's
	severity Severity // "": the rule's
	detail   string   // "": what the flow says
	again    bool     // it was counted before
}

// matter is all that is told of together: what one rule says of one device and one
// group of peers.
type matter struct {
	key   matterKey
	alert Alert
	peers map[netip.Addr]bool
	told  int // of alert.Count
	when  time.Time
	pause time.Duration // until it is told of again
	due   bool          // is in Watch.due
	row   int64         // in the database; 0: not yet
}

type matterKey struct{ rule, subject, group string }

const (
	maxMatters = 4096
	maxGroups  = 16 // of one rule and device; further ones are one
	maxPeers   = 256
	several    = "several networks"
	mostPause  = time.Hour
	forgotten  = time.Hour // after which the same is a new matter
	maxDetail  = 300       // bytes
)

// rule is a row of the table as the site has it.
func (w *Watch) rule(id string) Rule { return w.rules[id] }

func (w *Watch) on(id string) bool { return !w.config.Settings[id].Off }

// accuse adds to a matter, and has it told of when it is new, better proven, or has
// gone on for long.
func (w *Watch) accuse(id string, c charge) {
	if !w.on(id) {
		return
	}
	more := !c.again
	if f := c.flow; f != nil {
		c.at, c.sensor, c.service = f.Time, f.Sensor, Service(f.Protocol, f.DstPort)
		if !c.counted {
			c.proof, more = f.Proof, f.Begun // further reports of one flow are no further flows
		}
	}
	m, begun := w.matter(matterKey{id, cmp.Or(c.host.name, c.addr.String()), c.group}, c.at)
	a, rule := &m.alert, w.rule(id)
	if begun {
		*a = Alert{Rule: id, First: c.at, Group: m.key.group, Acted: rule.Acted}
		if c.host.device != nil {
			a.Device = c.host.name
		}
	}
	if begun || more {
		a.Count++
	}
	better := c.proof.better(a.Proof)
	if better {
		a.Proof = c.proof
	}
	a.Severity = cmp.Or(w.config.Settings[id].Severity, c.severity, rule.Severity)
	a.Address, a.At, a.Service, a.Sensor, a.Detail = c.addr, c.at, c.service, c.sensor, w.detail(c)
	m.name(c.peer)
	for _, p := range c.peers {
		m.name(p)
	}
	if begun || better || a.Count > m.told && apart(c.at, m.when) >= m.pause {
		w.tell(m, c.at)
	}
}

// detail says in words what happened.
func (w *Watch) detail(c charge) string {
	text := c.detail
	if text == "" && c.flow != nil {
		to := c.flow.Dst.String()
		if name := w.hosts.of(c.flow.Dst).name; name != "" {
			to += " (" + name + ")"
		}
		text = fmt.Sprintf("%s calls %s at %s: %s", c.flow.Src, c.service, to, c.flow.State)
	}
	if len(text) > maxDetail {
		text = text[:maxDetail]
	}
	return text
}

// matter finds what a charge belongs to, or begins it.
func (w *Watch) matter(k matterKey, at time.Time) (m *matter, begun bool) {
	m = w.matters[k]
	if m != nil && apart(at, m.alert.At) < forgotten {
		return m, false
	}
	pair := [2]string{k.rule, k.subject}
	if m == nil {
		if w.groups[pair] >= maxGroups && k.group != several {
			k.group = several
			return w.matter(k, at)
		}
		if len(w.matters) >= maxMatters {
			w.forgetOne()
		}
		w.groups[pair]++
	}
	m = &matter{key: k, peers: map[netip.Addr]bool{}, pause: again}
	w.matters[k] = m
	return m, true
}

func (w *Watch) forget(m *matter) {
	delete(w.matters, m.key)
	pair := [2]string{m.key.rule, m.key.subject}
	if w.groups[pair]--; w.groups[pair] <= 0 {
		delete(w.groups, pair)
	}
}

// forgetOne makes room: of a few matters the one that is quiet for longest.
func (w *Watch) forgetOne() {
	var oldest *matter
	looked := 0
	for _, m := range w.matters {
		if oldest == nil || m.alert.At.Before(oldest.alert.At) {
			oldest = m
		}
		if looked++; looked == evictLookAt {
			break
		}
	}
	w.forget(oldest)
}

// name adds a peer to those of a matter.
func (m *matter) name(peer netip.Addr) {
	if !peer.IsValid() || m.peers[peer] {
		return
	}
	if len(m.peers) < maxPeers {
		m.peers[peer] = true
	}
	if len(m.alert.Peers) < maxNamed {
		m.alert.Peers = append(m.alert.Peers[:len(m.alert.Peers):len(m.alert.Peers)], peer)
		return
	}
	m.alert.More++
}

// tell has Run raise a matter. The pause until the next time doubles.
func (w *Watch) tell(m *matter, at time.Time) {
	if m.told > 0 && apart(at, m.when) >= m.pause {
		m.pause = min(2*m.pause, mostPause)
	}
	m.told, m.when = m.alert.Count, at
	if m.due {
		return
	}
	m.due = true
	w.due = append(w.due, m)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Drain returns the alerts that are due, the oldest first. Run does so by itself.
func (w *Watch) Drain() []Alert {
	_, alerts := w.drain()
	return alerts
}

func (w *Watch) drain() ([]*matter, []Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.due
	w.due = nil
	alerts := make([]Alert, len(due))
	for i, m := range due {
		m.due = false
		alerts[i] = m.alert
	}
	return due, alerts
}

// remind has told of what went on unsaid, and forgets what has ended.
func (w *Watch) remind(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.matters {
		switch {
		case m.alert.Count > m.told && apart(now, m.when) >= m.pause:
			w.tell(m, now)
		case apart(now, m.alert.At) >= forgotten && !m.due:
			w.forget(m)
		}
	}
}

// apart is how far two times lie from one another, whichever came first: clocks are
// set back.
func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }
