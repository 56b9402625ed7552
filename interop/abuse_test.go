package interop

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

// bound is the memory that no abuse may make Cordon exceed, in bytes.
const bound = 256 << 20

// checkMemory fails the test if the process has ever been larger than the bound.
func (c *cordon) checkMemory(t *testing.T, most int64) {
	t.Helper()
	peak := c.process.peakMemory(t)
	if peak > most {
		t.Errorf("peak memory %d MiB, want at most %d MiB", peak>>20, most>>20)
	}
	t.Logf("peak memory %d MiB", peak>>20)
}

// What is no A-ASSOCIATE-RQ is hung up on, and the next modality is served.
func TestRubbishOnTheDICOMPort(t *testing.T) {
	c := startCordon(t, nil)
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	noise[0] = 0x5A // no PDU type
	established := associateRequest(cordonTitle, dicom.CTImageStorage, dicom.ExplicitVRLittleEndian)
	for _, abuse := range []struct {
		name  string
		bytes []byte
	}{
		{"rubbish", noise},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: pacs\r\nUser-Agent: curl\r\n\r\n")},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		{"4 GiB A-ASSOCIATE-RQ", []byte("\x01\x00\xff\xff\xff\xff\x00\x01")},
		{"4 GiB P-DATA-TF without an association", []byte("\x04\x00\xff\xff\xff\xff\x00\x00")},
		{"4 GiB P-DATA-TF", append(bytes.Clone(established), "\x04\x00\xff\xff\xff\xff\x00\x00"...)},
		{"4 GiB presentation data value", append(bytes.Clone(established), "\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x03"...)},
		{"a second A-ASSOCIATE-RQ", append(bytes.Clone(established), established...)},
		{"a request cut short", established[:40]},
	} {
		conn, err := net.Dial("tcp", c.Address)
		if err != nil {
			t.Fatalf("%s: %v", abuse.name, err)
		}
		conn.Write(abuse.bytes) // it may hang up before the end
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: not hung up on; answered % x", abuse.name, answer)
		}
		conn.Close()
		c.alive(t)
	}
	c.checkMemory(t, bound)
}

// Peers that begin and say no more keep nobody else from storing, and cost little.
func TestHalfPDUsKeepNobodyOut(t *testing.T) {
	c := startCordon(t, nil)
	request := associateRequest(cordonTitle, dicom.CTImageStorage, dicom.ExplicitVRLittleEndian)
	for i := range 40 {
		conn, err := net.Dial("tcp", c.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(request[:1+i]); err != nil {
			t.Fatal(err)
		}
	}
	c.alive(t)
	if rsp, err := storeObject(t, c, compose.CT(64, 64)); err != nil || rsp.Status != dimse.Success {
		t.Errorf("C-STORE beside half PDUs: %04X, %v", uint16(rsp.Status), err)
	}
	c.checkMemory(t, bound)
}

// associateRequest is an A-ASSOCIATE-RQ from CT1 with one presentation context (PS3.8 §9.3.2).
func associateRequest(called string, abstract, transfer dicom.UID) []byte {
	item := func(kind byte, parts ...[]byte) []byte {
		value := bytes.Join(parts, nil)
		return append(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(value))), value...)
	}
	body := bytes.Join([][]byte{
		{0, 1, 0, 0}, fmt.Appendf(nil, "%-16s%-16s", called, "CT1"), make([]byte, 32),
		item(0x10, []byte(ul.ApplicationContextName)),
		item(0x20, []byte{1, 0, 0, 0}, item(0x30, []byte(abstract)), item(0x40, []byte(transfer))),
		item(0x50, item(0x51, []byte{0, 0, 0x40, 0}), item(0x52, []byte("1.2.3"))),
	}, nil)
	return append(binary.BigEndian.AppendUint32([]byte{1, 0}, uint32(len(body))), body...)
}

// storeObject sends one object on an association of its own.
func storeObject(t *testing.T, c *cordon, o *compose.Object) (dimse.Command, error) {
	t.Helper()
	return storeData(t, c, o, bytes.NewReader(o.DataSet()))
}

// storeData sends data in the name of o.
func storeData(t *testing.T, c *cordon, o *compose.Object, data io.Reader) (dimse.Command, error) {
	t.Helper()
	conn, err := c.dial(t.Context(), ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
	if err != nil {
		return dimse.Command{}, err
	}
	defer conn.Close()
	rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, data)
	if err != nil {
		return rsp, err
	}
	return rsp, conn.Release(t.Context())
}

// A data set that never ends costs disk until its sender goes away, then nothing; memory it does not cost.
func TestDataSetThatNeverEnds(t *testing.T) {
	c := startCordon(t, nil)
	o := compose.CT(8, 8)
	o.Remove(dicom.TagPixelData)
	const sent = 1 << 30
	gone := errors.New("the sender goes away")
	data := io.MultiReader(
		bytes.NewReader(o.DataSet()),
		strings.NewReader("\xE0\x7F\x10\x00OW\x00\x00\xFE\xFF\xFF\xFF"), // (7FE0,0010), 4 GiB - 2
		io.LimitReader(zeros{}, sent),
		errorReader{gone})
	if _, err := storeData(t, c, o, data); !errors.Is(err, gone) {
		t.Errorf("the transfer ended with %v", err)
	}
	await(t, "the spill to be empty", func() bool { return sizeOf(t, filepath.Join(c.Dir, "spill")) == 0 })
	if s := c.status(t); s.Objects.Received+s.Spooled+s.Held != 0 {
		t.Errorf("something was kept: %+v", s)
	}
	c.alive(t)
	c.checkMemory(t, bound)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// sizeOf is the size of all files in a tree, in bytes.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Bombs are held: the sender is told success, the archive gets nothing, memory stays what it was.
func TestBombsAreHeld(t *testing.T) {
	c := startCordon(t, nil)
	bombs := map[string]*compose.Object{"100,000 nested items": nested(100_000), "deflated": compose.CT(8, 8)}
	for name, o := range bombs {
		data := o.DataSet()
		if name == "deflated" {
			o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
			data = deflateBomb(t, o, 512<<20)
		}
		rsp, err := storeData(t, c, o, bytes.NewReader(data))
		if err != nil || rsp.Status != dimse.Success {
			t.Errorf("%s: status %04X, %v", name, uint16(rsp.Status), err)
		}
		if item := c.held(t)[string(o.Instance)]; item.State != "held" {
			t.Errorf("%s: not held: %v", name, item)
		}
		t.Logf("%s: %d bytes, held", name, len(data))
	}
	if n := sizeOf(t, filepath.Join(c.Dir, "archive")); n != 0 {
		t.Errorf("%d bytes arrived", n)
	}
	c.alive(t)
	c.checkMemory(t, bound)
}

// deflateBomb is the data set of o with pixel data that inflates to size bytes.
func deflateBomb(t *testing.T, o *compose.Object, size int64) []byte {
	t.Helper()
	o.Remove(dicom.TagPixelData)
	o.TransferSyntax = dicom.ExplicitVRLittleEndian
	plain := o.DataSet()
	o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
	header := binary.LittleEndian.AppendUint32([]byte("\xE0\x7F\x10\x00OW\x00\x00"), uint32(size))
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(plain), bytes.NewReader(header), io.LimitReader(zeros{}, size))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A UID that is a path becomes no path.
func TestUIDWithDotsWritesNowhereElse(t *testing.T) {
	parent := t.TempDir()
	c := newCordon(t, nil)
	c.useData(t, filepath.Join(parent, "a", "b", "data"))
	c.start(t)
	uids := []dicom.UID{"../../../evil", "..", "/evil", "1.2.3/../../../../evil"}
	for _, uid := range uids {
		o := compose.CT(8, 8)
		o.Instance = uid
		if rsp, err := storeObject(t, c, o); err != nil || rsp.Status != dimse.Success {
			t.Errorf("%q: status %04X, %v", uid, uint16(rsp.Status), err)
		}
		if item := c.held(t)[string(uid)]; item.State != "held" {
			t.Errorf("%q is not held: %v", uid, item)
		}
	}
	c.alive(t)
	err := filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (strings.Contains(e.Name(), "evil") || !e.IsDir() && !strings.HasPrefix(path, c.Dir)) {
			t.Errorf("%s was written", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := sizeOf(t, filepath.Join(c.Dir, "archive")); n != 0 {
		t.Errorf("%d bytes of them arrived", n)
	}
}

// A second Cordon on the same data directory does not start, and says whose it is; the first does not notice.
func TestTwoCordonsOnOneDataDirectory(t *testing.T) {
	c := startCordon(t, nil)
	second := newCordon(t, nil)
	second.useData(t, c.Dir)
	said := cordonCommand(t, "up", "--config", second.config)
	if said.code != 2 || !strings.Contains(said.err, fmt.Sprint(c.process.cmd.Process.Pid)) {
		t.Errorf("the second ended with %d and said %q; the first is process %d", said.code, said.err, c.process.cmd.Process.Pid)
	}
	if rsp, err := storeObject(t, c, compose.CT(64, 64)); err != nil || rsp.Status != dimse.Success {
		t.Errorf("C-STORE to the first: %04X, %v", uint16(rsp.Status), err)
	}
	c.alive(t)
}

// Many senders of large objects at once: memory does not grow with their number times their size.
func TestMemoryWith32Associations(t *testing.T) {
	const associations, objects, side = 32, 4, 2048 // 8 MiB each
	archive := startStoreSCP(t, "--fork", "--ignore", "-pdu", "131072")
	c := startCordon(t, archive)
	var open, all sync.WaitGroup
	open.Add(associations)
	for range associations {
		all.Go(func() { // ends with its association
			sendMany(t, c, objects, side, &open)
		})
	}
	all.Wait()
	if s := c.status(t); s.Objects.Delivered+s.Objects.Spooled != associations*objects || s.Objects.Panics != 0 {
		t.Errorf("of %d Cordon counts %+v", associations*objects, s.Objects)
	}
	c.checkMemory(t, 600<<20)
}

// sendMany sends objects on one association, as soon as all others are open too.
func sendMany(t *testing.T, c *cordon, objects, side int, open *sync.WaitGroup) {
	o := compose.CT(side, side)
	conn, err := c.dial(t.Context(), ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
	open.Done()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	open.Wait()
	for range objects {
		o.Instance = compose.NewUID()
		rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(o.DataSet()))
		if err != nil || rsp.Status != dimse.Success {
			t.Errorf("C-STORE: %04X, %v", uint16(rsp.Status), err)
			return
		}
	}
	if err := conn.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
