package interop

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// killsByWeb is how often Cordon is killed in each half of the test.
const killsByWeb = 3

// Instances are stored over DICOMweb while Cordon is killed again and again, with its archive there and away: each that
// was said to be stored is at the archive in the end.
func TestNothingStoredByDICOMwebIsLostWhenKilled(t *testing.T) {
	orthanc := startWebOrthanc(t, nil)
	c := newCordon(t, orthanc)
	front := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	c.replace(t, "ae_title: CORDON}", fmt.Sprintf("ae_title: CORDON, web: {listen: '%s'}}", front))
	c.replace(t, "address: '"+orthanc.Address+"'}", "address: '"+orthanc.Address+"', dicomweb: '"+orthanc.HTTP+"/dicom-web'}")
	c.start(t)
	s := &webSender{url: "http://" + front + "/dicom-web/studies", stored: map[dicom.UID]bool{}}
	for half := range 2 {
		if half == 1 {
			killOrthanc(t, orthanc)
		}
		for range killsByWeb {
			stop := s.start(3)
			time.Sleep(100*time.Millisecond + rand.N(600*time.Millisecond))
			c.process.kill()
			stop()
			c.start(t)
		}
	}
	start(t, orthanc.Dir, "Orthanc", filepath.Join(orthanc.Dir, "orthanc.json"))
	orthanc.awaitREST(t)
	if len(s.stored) < 10 {
		t.Fatalf("only %d instances were stored between the kills", len(s.stored))
	}
	missing := 0
	await(t, "every stored instance at the archive", func() bool {
		arrived := orthanc.instances(t)
		missing = 0
		for uid := range s.stored {
			if !arrived[string(uid)] {
				missing++
			}
		}
		return missing == 0
	})
	if said := c.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("the ledger: %s", said.out)
	}
	t.Logf("%d kills, %d instances said to be stored, none lost", 2*killsByWeb, len(s.stored))
}

// webSender stores instances, some of them hostile, and remembers which were said to be stored.
type webSender struct {
	url    string
	mu     sync.Mutex
	stored map[dicom.UID]bool
}

// start stores from so many clients until stop.
func (s *webSender) start(clients int) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					s.send()
				}
			}
		})
	}
	return func() { close(done); running.Wait() }
}

// send stores a few instances; what is answered before Cordon dies counts.
func (s *webSender) send() {
	var parts []string
	for i := range 3 {
		o := compose.CT(64, 64)
		if i == 1 {
			compose.PrivateOB.Put(o, compose.EICAR())
		}
		parts = append(parts, "--b\r\nContent-Type: application/dicom\r\n\r\n"+string(o.File())+"\r\n")
	}
	client := http.Client{Timeout: 10 * time.Second}
	rsp, err := client.Post(s.url, `multipart/related; type="application/dicom"; boundary=b`, strings.NewReader(strings.Join(append(parts, "--b--\r\n"), "")))
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		return
	}
	web.ReadJSON(bytes.NewReader(body), web.Limits{}, func(d web.DataSet) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, i := range web.ParseStoreResponse(d).Stored {
			s.stored[i.SOPInstanceUID] = true
		}
		return nil
	})
}
