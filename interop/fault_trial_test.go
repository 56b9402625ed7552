package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// A trial is a Cordon that things happen to, an archive behind it, modalities in front of it that write down what they
// are told, and the oracle: it holds what they were told against where each object is. It knows the archive's own store,
// and of Cordon what its commands say.
type trial struct {
	*cordon
	archive *archive

	mu   sync.Mutex
	sent map[string]*sending // by SOP Instance UID
}

// sending is one object and what its sender was told.
type sending struct {
	digest  [sha256.Size]byte // of its data set
	hostile bool
	told    bool // success
	checked bool // and it was found where it should be, once
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	own := fmt.Sprintf("127.77.%d.%d", 1+rand.IntN(250), 1+rand.IntN(250))
	a := newArchive(t)
	a.move(t, own)
	c := newCordon(t, &a.peer)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	was, console := c.Address, strings.TrimPrefix(c.Console, "http://")
	c.move(t, own)
	at := net.JoinHostPort(own, strconv.Itoa(ports.Free(t)))
	c.Console = "http://" + at
	write(t, c.config, strings.NewReplacer(was, c.Address, console, at).Replace(string(text))+
		"devices: [{name: ct-1, ae_title: CT1, addresses: [127.0.0.0/8], archive: pacs, mode: enforce, may: [echo, store]}]\n")
	return &trial{cordon: c, archive: a, sent: map[string]*sending{}}
}

// move gives a peer an address and a port of its own on this machine: while it is down nobody else takes them.
func (p *peer) move(t *testing.T, host string) {
	t.Helper()
	p.Host, p.Port = host, strconv.Itoa(ports.Free(t))
	p.Address = net.JoinHostPort(p.Host, p.Port)
}

// specimen is an object on its way.
type specimen struct {
	class, instance, syntax dicom.UID
	data                    []byte
}

// next makes an object of a series: now and then hostile, now and then too large for a memory buffer.
func (tr *trial) next(series string, n int) specimen {
	side := 64
	if n%9 == 5 {
		side = 768
	}
	o := compose.CT(side, side)
	o.Study, o.Series, o.InstanceNumber = dicom.UID(above(series)), dicom.UID(series), n+1
	o.Instance = dicom.UID(fmt.Sprintf("%s.%d", series, n+1))
	hostile := n%7 == 3
	if hostile {
		compose.PrivateOB.Put(o, compose.EICAR())
	}
	s := specimen{o.SOPClass, o.Instance, o.TransferSyntax, o.DataSet()}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.sent[string(s.instance)] = &sending{digest: sha256.Sum256(s.data), hostile: hostile}
	return s
}

func (tr *trial) note(s specimen, status dimse.Status) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if status.Class() == dimse.ClassSuccess || status.Class() == dimse.ClassWarning {
		tr.sent[string(s.instance)].told = true
	}
}

// acknowledged is how many senders were told that their object is stored.
func (tr *trial) acknowledged() (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, s := range tr.sent {
		if s.told {
			n++
		}
	}
	return n
}

// flood has some modalities send until stop, each a study of its own after the other. One that loses its association
// calls again. Their goroutines end with stop.
func (tr *trial) flood(t *testing.T, modalities int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range modalities {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := tr.study(ctx); err != nil {
					time.Sleep(30 * time.Millisecond)
				}
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

// study sends up to 20 objects on one association.
func (tr *trial) study(ctx context.Context) error {
	series := string(compose.NewUID()) + ".1"
	first := compose.CT(8, 8)
	as, err := ul.Dial(ctx, tr.Address, nil, ul.Request{Calling: "CT1", Called: tr.AETitle, Contexts: []ul.ProposedContext{
		{ID: 1, AbstractSyntax: first.SOPClass, TransferSyntaxes: []dicom.UID{first.TransferSyntax}},
	}}, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return err
	}
	conn := dimse.NewConn(as)
	defer conn.Close()
	for n := range 20 {
		s := tr.next(series, n)
		rsp, err := conn.Store(ctx, 1, dimse.StoreRequest{SOPClassUID: s.class, SOPInstanceUID: s.instance}, bytes.NewReader(s.data))
		if err != nil {
			return err
		}
		tr.note(s, rsp.Status)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return conn.Release(ctx)
}

// standing is what `cordon status --json` says of what is kept.
type standing struct {
	Spooled, Attention, Held, Alarms int
}

func (tr *trial) standing(t *testing.T) (s standing) {
	t.Helper()
	said := tr.cli(t, "status", "--json")
	if err := json.Unmarshal([]byte(said.out), &s); err != nil {
		t.Fatalf("cordon status: %v in %q, %s", err, said.out, said.err)
	}
	return s
}

// vault lists instances that `cordon vault list` has, with their ids.
func (tr *trial) vault(t *testing.T, flags ...string) map[string]string {
	t.Helper()
	said := tr.cli(t, append([]string{"vault", "list", "--json"}, flags...)...)
	if said.code != 0 {
		t.Fatalf("cordon vault list: exit code %d: %s", said.code, said.err)
	}
	all := map[string]string{}
	for line := range strings.Lines(said.out) {
		var v struct {
			ID       string `json:"id"`
			Instance string `json:"sop_instance_uid"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("cordon vault list: %v in %q", err, line)
		}
		all[v.Instance] = v.ID
	}
	return all
}

// readable reports whether a held object can be taken out of the vault, and is what was sent.
func (tr *trial) readable(t *testing.T, id string, digest [sha256.Size]byte) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), id)
	if said := tr.cli(t, "vault", "export", id, "--as", "Oracle", "--reason", "is it whole?", "--output", file); said.code != 0 {
		t.Logf("cordon vault export: %s", said.err)
		return false
	}
	defer os.Remove(file)
	return sha256.Sum256(dataSetOf(t, file)) == digest
}

// drained waits until nothing but what a person has to decide on waits for the archive.
func (tr *trial) drained(t *testing.T) {
	t.Helper()
	await(t, "the spool to be delivered", func() bool { s := tr.standing(t); return s.Spooled == s.Attention })
}

// account fails the test for whatever the oracle finds, and returns how many were lost.
func (tr *trial) account(t *testing.T) (lost int) {
	t.Helper()
	lost, wrong := tr.oracle(t)
	for _, what := range wrong {
		t.Error(what)
	}
	return lost
}

// oracle holds what senders were told against where each object is. Everything that was acknowledged must be in the
// archive, byte for byte, or in the vault, or in the spool for a person, and to be read there; what is hostile must be in
// the vault and nowhere else. An object whose copy here is missing or damaged is lost.
func (tr *trial) oracle(t *testing.T) (lost int, wrong []string) {
	t.Helper()
	tr.drained(t)
	held, refused := tr.vault(t), tr.vault(t, "--attention")
	if lost = tr.standing(t).Alarms; lost > 0 {
		wrong = append(wrong, fmt.Sprintf("%d objects are missing or damaged here", lost))
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for uid, s := range tr.sent {
		sum, there := tr.archive.holds(uid)
		switch {
		case s.hostile && there:
			wrong = append(wrong, uid+" is hostile, and in the archive")
		case there && sum != s.digest:
			wrong = append(wrong, uid+": other bytes are in the archive than were sent")
		case !s.told:
		case s.hostile && held[uid] == "", !s.hostile && !there && held[uid] == "" && refused[uid] == "":
			lost++
			wrong = append(wrong, fmt.Sprintf("%s was acknowledged and is lost (hostile %v; archive %v, vault %q, refused %q; found before: %v)",
				uid, s.hostile, there, held[uid], refused[uid], s.checked))
		case held[uid] != "" && !s.checked && !tr.readable(t, held[uid], s.digest):
			lost++
			wrong = append(wrong, uid+" was acknowledged, and what is in the vault is not what was sent")
		default:
			s.checked = true
		}
	}
	return lost, wrong
}

// intact verifies the ledger, at the end of a trial.
func (tr *trial) intact(t *testing.T) {
	t.Helper()
	if said := tr.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("cordon ledger verify: %d: %s%s", said.code, said.out, said.err)
	}
	if s := tr.standing(t); s.Alarms != 0 {
		t.Errorf("%d alarms", s.Alarms)
	}
}

// whole reports whether all of each fault is asked for (make faults), and not a sample.
func whole() bool { return os.Getenv("CORDON_FAULTS") != "" }

// runs is how often a fault is tried.
func runs(sample, all int) int {
	if whole() {
		return all
	}
	return sample
}

// chance is a source of random points, named so that a run can be told.
func chance(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// elsewhere is a directory beside the test's others, short enough for a socket in it.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cordon-fault-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
