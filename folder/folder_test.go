package folder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

const instance dicom.UID = "2.25.1001"

// serve runs an archive in a temporary directory. It ends with stop, which
// waits for the associations under way, or with the test.
func serve(t *testing.T) (dir, address string, stop func()) {
	t.Helper()
	dir = t.TempDir()
	archive, err := New(dir, "ARCHIVE", ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- archive.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return dir, l.Addr().String(), stop
}

// dial associates as a modality that stores CT images.
func dial(t *testing.T, address string, called dicom.AETitle) (*dimse.Conn, error) {
	t.Helper()
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{
		Calling: "CT1", Called: called,
		Contexts: []ul.ProposedContext{
			{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
			{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{"2.25.9", dicom.ExplicitVRLittleEndian}},
			{ID: 5, AbstractSyntax: dicom.MRImageStorage, TransferSyntaxes: []dicom.UID{"2.25.9"}},
		},
	}, ul.Limits{})
	if err != nil {
		return nil, err
	}
	conn := dimse.NewConn(a)
	t.Cleanup(func() { conn.Close() })
	return conn, nil
}

func connect(t *testing.T, address string) *dimse.Conn {
	t.Helper()
	conn, err := dial(t, address, "ARCHIVE")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn *dimse.Conn, uid dicom.UID, data []byte) dimse.Status {
	t.Helper()
	rsp, err := conn.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: uid}, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return rsp.Status
}

// dataSet is a small one that names the instance.
func dataSet(t *testing.T, uid dicom.UID, name string) []byte {
	t.Helper()
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(dicom.NewTag(0x0008, 0x0016), dicom.UI, string(dicom.CTImageStorage))
	w.String(dicom.NewTag(0x0008, 0x0018), dicom.UI, string(uid))
	w.String(dicom.NewTag(0x0010, 0x0010), dicom.PN, name)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// files lists every file below dir, temporary ones too.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStoredIsWhatWasSent(t *testing.T) {
	dir, address, _ := serve(t)
	conn := connect(t, address)
	data := dataSet(t, instance, "PHANTOM^ONE")
	if s := send(t, conn, instance, data); s != dimse.Success {
		t.Fatalf("status %04X", uint16(s))
	}
	paths := files(t, dir)
	if len(paths) != 1 {
		t.Fatalf("files: %q", paths)
	}
	if strings.Contains(paths[0], string(instance)) {
		t.Errorf("%s: a peer's UID is part of the name", paths[0])
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if string(text[128:132]) != "DICM" || !bytes.HasSuffix(text, data) {
		t.Errorf("the file is not a preamble, DICM, group 0002 and the data set as sent")
	}
}

func TestPathsAreNeverMadeFromUIDs(t *testing.T) {
	dir, address, _ := serve(t)
	for _, uid := range []dicom.UID{"../../../../tmp/cordon-folder-test", "/etc/passwd", "a/b", "1.02.3"} {
		if s := send(t, connect(t, address), uid, dataSet(t, uid, "PHANTOM^ONE")); s != dimse.Success {
			t.Errorf("%s: status %04X", uid, uint16(s))
		}
	}
	named := regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{32}-[0-9a-f]{32}\.dcm$`)
	paths := files(t, dir)
	for _, path := range paths {
		if rel, _ := filepath.Rel(dir, path); !named.MatchString(rel) {
			t.Errorf("%s", rel)
		}
	}
	if len(paths) != 4 {
		t.Errorf("files: %q", paths)
	}
}

func TestSameObjectTwiceIsOneFile(t *testing.T) {
	dir, address, _ := serve(t)
	for range 2 {
		if s := send(t, connect(t, address), instance, dataSet(t, instance, "PHANTOM^ONE")); s != dimse.Success {
			t.Fatalf("status %04X", uint16(s))
		}
	}
	if paths := files(t, dir); len(paths) != 1 {
		t.Errorf("files: %q", paths)
	}
}

func TestOtherContentNeverReplacesTheFirst(t *testing.T) {
	dir, address, _ := serve(t)
	conn := connect(t, address)
	first, second := dataSet(t, instance, "PHANTOM^ONE"), dataSet(t, instance, "PHANTOM^TWO")
	send(t, conn, instance, first)
	send(t, conn, instance, second)
	paths := files(t, dir)
	if len(paths) != 2 {
		t.Fatalf("files: %q", paths)
	}
	found := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasSuffix(text, first) || bytes.HasSuffix(text, second) {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d of the two objects are there", found)
	}
}

// torn is a data set whose sender goes away in the middle.
type torn struct{ data io.Reader }

func (r torn) Read(p []byte) (int, error) {
	n, err := r.data.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("torn")
	}
	return n, err
}

func TestHalfAnObjectLeavesNoFile(t *testing.T) {
	dir, address, stop := serve(t)
	conn := connect(t, address)
	_, err := conn.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: instance},
		torn{bytes.NewReader(make([]byte, 4<<20))})
	if err == nil {
		t.Fatal("half an object was stored")
	}
	conn.Close()
	stop()
	if paths := files(t, dir); len(paths) != 0 {
		t.Errorf("files: %q", paths)
	}
}

func TestRefusals(t *testing.T) {
	dir, address, _ := serve(t)
	conn := connect(t, address)
	if _, ok := conn.Association().Context(5); ok {
		t.Error("a context with no transfer syntax that we know was accepted")
	}
	if pc, _ := conn.Association().Context(3); pc.TransferSyntax != dicom.ExplicitVRLittleEndian {
		t.Errorf("transfer syntax %s", pc.TransferSyntax)
	}
	for _, tc := range []struct {
		why    string
		class  dicom.UID
		uid    dicom.UID
		status dimse.Status
	}{
		{"no instance", dicom.CTImageStorage, "", dimse.InvalidSOPInstance},
		{"another class", dicom.MRImageStorage, instance, dimse.SOPClassNotSupported},
	} {
		rsp, err := conn.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: tc.class, SOPInstanceUID: tc.uid}, bytes.NewReader([]byte{1, 2}))
		if err != nil || rsp.Status != tc.status {
			t.Errorf("%s: status %04X, %v", tc.why, uint16(rsp.Status), err)
		}
	}
	if paths := files(t, dir); len(paths) != 0 {
		t.Errorf("files: %q", paths)
	}
	if s, err := conn.Echo(t.Context()); err != nil || s != dimse.Success {
		t.Errorf("C-ECHO after refusals: %04X, %v", uint16(s), err)
	}
}

func TestOtherCalledTitleIsRejected(t *testing.T) {
	_, address, _ := serve(t)
	_, err := dial(t, address, "ELSEWHERE")
	var r *ul.Rejection
	if !errors.As(err, &r) || r.Reason != ul.RejectCalledAETitle {
		t.Errorf("got %v", err)
	}
}

func TestStartRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, ".tmp-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, "ARCHIVE", ul.Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}
