package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// A destination is where an archive sends what a C-MOVE names.
type destination struct {
	title dicom.AETitle
	port  string
}

// startQueryRetrieve starts DCMTK's dcmqrscp, an archive with C-FIND, C-MOVE and C-GET, with the files in its store.
func startQueryRetrieve(t *testing.T, files []string, to ...destination) *peer {
	t.Helper()
	return startQueryRetrieveWith(t, nil, files, to...)
}

// startQueryRetrieveWith is startQueryRetrieve with flags.
func startQueryRetrieveWith(t *testing.T, flags, files []string, to ...destination) *peer {
	t.Helper()
	p := newPeer(t, "QRSCP")
	var hosts strings.Builder
	for i, d := range to {
		fmt.Fprintf(&hosts, "host%d = (%s, 127.0.0.1, %s)\n", i, d.title, d.port)
	}
	write(t, filepath.Join(p.Dir, "dcmqrscp.cfg"), fmt.Sprintf(`NetworkTCPPort = %s
MaxPDUSize = 65536
MaxAssociations = 32
HostTable BEGIN
%sHostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
%s %s RW (500, 1024mb) ANY
AETable END
`, p.Port, &hosts, p.AETitle, p.Dir))
	if len(files) > 0 {
		run(t, "dcmqridx", append([]string{p.Dir}, files...)...)
	}
	start(t, p.Dir, "dcmqrscp", append([]string{"-c", filepath.Join(p.Dir, "dcmqrscp.cfg"), "+x="}, flags...)...)
	p.awaitReady(t)
	return p
}

// startWorklist starts DCMTK's wlmscpfs with n entries, of which every other is for CT1.
func startWorklist(t *testing.T, n int) *peer {
	t.Helper()
	p := newPeer(t, "WORKLIST")
	p.hangsUp = true
	dir := filepath.Join(p.Dir, string(p.AETitle))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "lockfile"), "")
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("%03d.wl", i)), string(worklistEntry(t, i)))
	}
	start(t, p.Dir, "wlmscpfs", "-dfp", p.Dir, p.Port)
	p.awaitReady(t)
	return p
}

// worklistEntry is a scheduled procedure step as a file (PS3.4 table K.6-1).
func worklistEntry(t *testing.T, i int) []byte {
	t.Helper()
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(0x00080005, dicom.CS, "ISO_IR 100")
	w.String(0x00080050, dicom.SH, fmt.Sprintf("A%05d", i))
	w.String(0x00080090, dicom.PN, "REFERRER^R")
	w.String(0x00100010, dicom.PN, fmt.Sprintf("M\xfcLLER^%c", 'A'+rune(i%26)))
	w.String(0x00100020, dicom.LO, fmt.Sprintf("PID%05d", i))
	w.String(0x00100030, dicom.DA, "19700101")
	w.String(0x00100040, dicom.CS, "O")
	w.String(0x0020000D, dicom.UI, fmt.Sprintf("2.25.%d", 1000+i))
	w.String(0x00321032, dicom.PN, "REQUESTER^R")
	w.String(0x00321060, dicom.LO, "CHEST")
	w.BeginSequence(0x00400100, dicom.Undefined)
	w.BeginItem(dicom.Undefined)
	w.String(0x00080060, dicom.CS, "CT")
	w.String(0x00400001, dicom.AE, []string{"CT1", "CT2"}[i%2])
	w.String(0x00400002, dicom.DA, "20261121")
	w.String(0x00400003, dicom.TM, "0900")
	w.String(0x00400006, dicom.PN, "PERFORMER^P")
	w.String(0x00400007, dicom.LO, "CHEST")
	w.String(0x00400009, dicom.SH, fmt.Sprintf("S%05d", i))
	w.EndItem()
	w.EndSequence()
	w.String(0x00401001, dicom.SH, fmt.Sprintf("R%05d", i))
	w.String(0x00401003, dicom.SH, "LOW")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// startPrinter starts DCMTK's dcmprscp; what it prints are files in Dir.
func startPrinter(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t, "PRINTER")
	config := printConfig(t, p.Dir, p.Dir, "LOCALPRINTER", p)
	start(t, p.Dir, "dcmprscp", "-c", config, "-p", "PRINTER")
	p.awaitPort(t)
	return p
}

// startViewer starts the receiver of DCMTK's viewer, dcmpsrcv, which stores into Dir.
func startViewer(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t, "VIEWER")
	start(t, p.Dir, "dcmpsrcv", viewerConfig(t, p.Dir, "RECEIVER", p), "VIEWER")
	p.awaitPort(t)
	return p
}

// viewerConfig writes a configuration for DCMTK's viewer programs: one peer, to receive as or to send to.
func viewerConfig(t *testing.T, dir, kind string, at *peer) string {
	t.Helper()
	config := filepath.Join(dir, "viewer.cfg")
	write(t, config, fmt.Sprintf(`[[GENERAL]]
[DATABASE]
Directory = %s
[NETWORK]
Aetitle = WS
[[COMMUNICATION]]
[VIEWER]
Type = %s
Aetitle = %s
Description = viewer
Hostname = 127.0.0.1
Port = %s
MaxPDU = 32768
BitPreservingMode = true
`, dir, kind, at.AETitle, at.Port))
	return config
}

// printConfig writes a configuration for DCMTK's print programs: one printer.
func printConfig(t *testing.T, dir, files, kind string, at *peer) string {
	t.Helper()
	config := filepath.Join(dir, "print-"+strings.ToLower(kind)+".cfg")
	write(t, config, fmt.Sprintf(`[[GENERAL]]
[PRINT]
Directory = %[1]s
[DATABASE]
Directory = %[1]s
[NETWORK]
Aetitle = WS
[[COMMUNICATION]]
[PRINTER]
Aetitle = %[2]s
Description = printer
Hostname = 127.0.0.1
Port = %[3]s
Type = %[4]s
MaxPDU = 32768
DisplayFormat = 1,1
FilmSizeID = 8INX10IN
MediumType = PAPER
MagnificationType = REPLICATE\BILINEAR
Supports12Bit = true
SupportsPresentationLUT = true
`, files, at.AETitle, at.Port, kind))
	return config
}

// A study of small CT images, as files, all of one patient.
type studyFiles struct {
	uid   dicom.UID
	files []string
}

// writeStudies writes studies of small CT images, two series each.
func writeStudies(t *testing.T, studies, images int) []studyFiles {
	t.Helper()
	dir := t.TempDir()
	var out []studyFiles
	for s := range studies {
		one := studyFiles{uid: compose.NewUID()}
		series := []dicom.UID{compose.NewUID(), compose.NewUID()}
		for i := range images {
			o := compose.CT(16, 16)
			o.Study, o.Series, o.InstanceNumber = one.uid, series[i%2], i+1
			o.SetString(0x00080020, dicom.DA, fmt.Sprintf("2026112%d", s%10))
			o.SetString(0x00080050, dicom.SH, fmt.Sprintf("A%04d", s))
			o.SetString(0x00100010, dicom.PN, fmt.Sprintf("DOE^JANE^%03d", s))
			o.SetString(0x00100020, dicom.LO, fmt.Sprintf("P%04d", s))
			file := filepath.Join(dir, fmt.Sprintf("%d-%d.dcm", s, i))
			write(t, file, string(o.File()))
			one.files = append(one.files, file)
		}
		out = append(out, one)
	}
	return out
}

func filesOf(studies []studyFiles) []string {
	var all []string
	for _, s := range studies {
		all = append(all, s.files...)
	}
	return all
}
