package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// One object to two archives, of which one is away or both answer: after kill -9 at random moments each archive has every
// image that was acknowledged.
func TestKillNineWithTwoArchives(t *testing.T) {
	fastDCMTK(t)
	t.Run("both up", func(t *testing.T) { killNineWithTwo(t, true) })
	t.Run("the second away", func(t *testing.T) { killNineWithTwo(t, false) })
}

func killNineWithTwo(t *testing.T, up bool) {
	first, second := newPeer(t, "FIRST"), newPeer(t, "SECOND")
	start := func(p *peer) {
		launch(t, "storescp", "-od", p.Dir, "-aet", string(p.AETitle), "+B", "+xa", "--fork", p.Port)
		p.awaitReady(t)
	}
	start(first)
	if up {
		start(second)
	}
	c := newCordon(t, nil)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, string(text)+fmt.Sprintf("archives:\n- {name: first, ae_title: %s, address: '%s'}\n- {name: second, ae_title: %s, address: '%s'}\n",
		first.AETitle, first.Address, second.AETitle, second.Address)+
		"devices: [{name: ct-1, ae_title: CT1, addresses: [127.0.0.0/8], archive: first, also: [second]}]\n")
	c.start(t)
	s := newStudy(t, 200, 64)
	for round := range 3 {
		sender := storescu(t, &c.peer, s.waiting())
		moment := 1 + rand.IntN(len(s.waiting())/3)
		await(t, fmt.Sprintf("%d images to be acknowledged", moment), func() bool {
			return strings.Count(sender.printed(), acknowledged) >= moment || sender.ended()
		})
		time.Sleep(rand.N(20 * time.Millisecond)) // not always right after an answer
		c.process.kill()
		sender.wait()
		s.acknowledge(t, sender.printed())
		t.Logf("round %d: killed with %d of %d acknowledged", round, len(s.acknowledged), len(s.files))
		c.start(t)
	}
	sender := storescu(t, &c.peer, s.waiting())
	sender.wait()
	s.acknowledge(t, sender.printed())
	if len(s.acknowledged) != len(s.files) {
		t.Errorf("%d of %d images were acknowledged in the end", len(s.acknowledged), len(s.files))
	}
	if !up {
		start(second)
	}
	c.awaitDrained(t)
	for _, archive := range []*peer{first, second} {
		arrived := instancesIn(t, archive.Dir)
		lost := 0
		for file := range s.acknowledged {
			id := filepath.Base(file)
			switch here := arrived[id]; {
			case s.hostile[id] != (here == ""):
				lost++
			case here != "" && !bytes.Equal(dataSetOf(t, here), dataSetOf(t, file)):
				t.Errorf("%s: other bytes arrived at %s than were sent", id, archive.AETitle)
			}
		}
		if lost != 0 {
			t.Errorf("%s: %d of %d are not where they belong", archive.AETitle, lost, len(s.acknowledged))
		}
		t.Logf("%s has %d of %d", archive.AETitle, len(arrived), len(s.files))
	}
	if alarms := c.status(t).Alarms; alarms != 0 {
		t.Errorf("%d alarms", alarms)
	}
}
