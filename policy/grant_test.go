package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"cordon/dicom"
)

func TestGrants(t *testing.T) {
	proposed := []Context{
		{ID: 1, AbstractSyntax: dicom.Verification},
		{ID: 3, AbstractSyntax: dicom.CTImageStorage},
		{ID: 5, AbstractSyntax: "1.2.3.4.5.6"}, // a vendor's private storage class, perhaps
		{ID: 7, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelFind},
		{ID: 9, AbstractSyntax: dicom.StorageCommitmentPushModel},
		{ID: 11, AbstractSyntax: dicom.MediaStorageDirectoryStorage},
		{ID: 13, AbstractSyntax: dicom.ModalityWorklistInformationModelFind},
	}
	scu := Roles{SCU: true}
	for _, c := range []struct {
		name   string
		device Device
		want   []Grant
	}{
		{"everything there is", Device{}, []Grant{
			{1, ServiceEcho, "", scu, Granted}, {3, ServiceStore, "pacs", scu, Granted}, {5, ServiceStore, "pacs", scu, Granted},
			{7, ServiceQuery, "pacs", scu, Granted}, {9, ServiceCommit, "pacs", scu, Granted}, {ID: 11, Reason: NotImplemented},
			{13, ServiceWorklist, "pacs", scu, Granted},
		}},
		{"echo alone", Device{May: []Service{ServiceEcho}}, []Grant{
			{1, ServiceEcho, "", scu, Granted}, {ID: 3, Reason: NotPermitted}, {ID: 5, Reason: NotPermitted},
			{ID: 7, Reason: NotPermitted}, {ID: 9, Reason: NotPermitted}, {ID: 11, Reason: NotImplemented}, {ID: 13, Reason: NotPermitted},
		}},
		{"one class", Device{SOPClasses: []dicom.UID{dicom.CTImageStorage}, May: []Service{ServiceStore}}, []Grant{
			{ID: 1, Reason: NotPermitted}, {3, ServiceStore, "pacs", scu, Granted}, {ID: 5, Reason: ClassNotPermitted},
			{ID: 7, Reason: NotPermitted}, {ID: 9, Reason: NotPermitted}, {ID: 11, Reason: NotImplemented}, {ID: 13, Reason: NotPermitted},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site
			c.device.Name, c.device.AETitle = "ct", "CT"
			s.Devices = []Device{c.device}
			same(t, s.Admit(Association{Calling: "CT", Called: "CORDON", Contexts: proposed}).Contexts, c.want)
		})
	}
}

func same(t *testing.T, got, want []Grant) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("context %d: got %+v, want %+v", want[i].ID, got[i], want[i])
		}
	}
}

// TestRoute: each service goes to the archive that is called, if it serves it,
// else to the device's own, else to the one that names the service, else to the
// one that serves all.
func TestRoute(t *testing.T) {
	s := Site{AETitle: "CORDON", Unknown: RefuseUnknown, Archives: []Archive{
		{Name: "pacs", AETitle: "PACS"},
		{Name: "vna", AETitle: "VNA"},
		{Name: "ris", AETitle: "RIS", Services: []Service{ServiceWorklist, ServiceMPPS}},
		{Name: "printer", AETitle: "PRN", Services: []Service{ServicePrint}},
	}}
	onlyRIS := Device{Archives: []string{"ris"}}
	for _, c := range []struct {
		name    string
		device  Device
		called  dicom.AETitle
		class   dicom.UID
		archive string
		reason  GrantReason
	}{
		{"images to the first that serves all", Device{}, "CORDON", dicom.CTImageStorage, "pacs", Granted},
		{"images to the device's own", Device{Archive: "vna"}, "CORDON", dicom.CTImageStorage, "vna", Granted},
		{"worklist to the one that names it", Device{}, "CORDON", dicom.ModalityWorklistInformationModelFind, "ris", Granted},
		{"steps to the one that names them", Device{}, "CORDON", dicom.ModalityPerformedProcedureStep, "ris", Granted},
		{"print to the printer", Device{}, "CORDON", dicom.BasicGrayscalePrintManagementMeta, "printer", Granted},
		{"the device's own archive for all that it serves", Device{Archive: "vna"}, "CORDON", dicom.ModalityWorklistInformationModelFind, "vna", Granted},
		{"the called one", Device{Archive: "vna"}, "PACS", dicom.ModalityWorklistInformationModelFind, "pacs", Granted},
		{"the called one does not serve it", Device{}, "RIS", dicom.CTImageStorage, "pacs", Granted},
		{"the called one does not serve it, the device's own does", Device{Archive: "vna"}, "RIS", dicom.CTImageStorage, "vna", Granted},
		{"of the permitted ones", onlyRIS, "CORDON", dicom.ModalityPerformedProcedureStep, "ris", Granted},
		{"none of the permitted ones serves it", onlyRIS, "CORDON", dicom.CTImageStorage, "", NotPermitted},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.device.Name, c.device.AETitle = "d", "D"
			s.Devices = []Device{c.device}
			got := s.Admit(Association{Calling: "D", Called: c.called, Contexts: []Context{{ID: 1, AbstractSyntax: c.class}}}).Contexts[0]
			if got.Archive != c.archive || got.Reason != c.reason {
				t.Errorf("got %+v", got)
			}
		})
	}
	s.Archives, s.Devices = s.Archives[2:], []Device{{Name: "d", AETitle: "D"}}
	got := s.Admit(Association{Calling: "D", Called: "CORDON", Contexts: []Context{{ID: 1, AbstractSyntax: dicom.CTImageStorage}}})
	if got.Archive != "" || got.Contexts[0].Reason != NotServed {
		t.Errorf("no archive stores, and got %+v", got)
	}
}

// TestObjectsOfAGet: a storage context proposed as SCP beside a C-GET is a
// retrieval.
func TestObjectsOfAGet(t *testing.T) {
	scu, scp, both := Roles{SCU: true}, Roles{SCP: true}, Roles{true, true}
	get := Context{ID: 1, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelGet}
	find := Context{ID: 1, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelFind}
	for _, c := range []struct {
		name  string
		may   []Service
		own   string
		first Context
		roles Roles
		want  Grant
	}{
		{"objects come back", nil, "", get, scp, Grant{3, ServiceStore, "pacs", scp, Granted}},
		{"both roles at one archive", nil, "", get, both, Grant{3, ServiceStore, "pacs", both, Granted}},
		{"both roles, may not store", []Service{ServiceRetrieve}, "", get, both, Grant{3, ServiceStore, "pacs", scp, Granted}},
		{"both roles, may not retrieve", []Service{ServiceStore}, "", get, both, Grant{3, ServiceStore, "pacs", scu, Granted}},
		{"may not retrieve", []Service{ServiceStore}, "", get, scp, Grant{ID: 3, Reason: NotPermitted}},
		{"may retrieve, not store", []Service{ServiceRetrieve}, "", get, Roles{}, Grant{ID: 3, Reason: NotPermitted}},
		{"no C-GET, both roles", nil, "", find, both, Grant{3, ServiceStore, "pacs", scu, Granted}},
		{"no C-GET", nil, "", find, scp, Grant{ID: 3, Reason: NotImplemented}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site
			s.Devices = []Device{{Name: "ws", AETitle: "WS", May: c.may, Archive: c.own}}
			got := s.Admit(Association{Calling: "WS", Called: "CORDON", Contexts: []Context{
				c.first, {ID: 3, AbstractSyntax: dicom.CTImageStorage, Roles: c.roles},
			}}).Contexts[1]
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestFromArchive: an archive is told by its title and address, and may send
// objects to devices and reports to the gateway, nothing else.
func TestFromArchive(t *testing.T) {
	s := site
	s.Devices = append(slices.Clone(site.Devices),
		Device{Name: "ws", AETitle: "WS", Addresses: prefixes("10.0.5.0/24", "10.0.5.7/32"), Port: 104},
		Device{Name: "no-port", AETitle: "WS2", Addresses: prefixes("10.0.5.8/32")},
		Device{Name: "twin-1", AETitle: "TWIN", Addresses: prefixes("10.0.5.9/32"), Port: 104},
		Device{Name: "twin-2", AETitle: "TWIN", Addresses: prefixes("10.0.5.10/32"), Port: 104},
	)
	both := slices.Clone(s.Devices)
	both = append(both, Device{Name: "pacs-as-device", AETitle: "PACS", Addresses: prefixes("10.0.9.1/32")})
	contexts := []Context{
		{ID: 1, AbstractSyntax: dicom.Verification},
		{ID: 3, AbstractSyntax: dicom.CTImageStorage},
		{ID: 5, AbstractSyntax: dicom.StorageCommitmentPushModel, Roles: Roles{SCP: true}},
		{ID: 7, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelFind},
	}
	events := []Context{
		{ID: 1, AbstractSyntax: dicom.UnifiedProcedureStepEvent, Roles: Roles{SCU: true, SCP: true}},
		{ID: 3, AbstractSyntax: dicom.UnifiedProcedureStepPull},
		{ID: 5, AbstractSyntax: dicom.ModalityWorklistInformationModelFind, Roles: Roles{SCP: true}},
	}
	idle := slices.Clone(s.Devices)
	for i := range idle {
		idle[i].May = []Service{ServiceStore}
	}
	scu := Roles{SCU: true}
	echo, store, report := Grant{1, ServiceEcho, "", scu, Granted}, Grant{3, ServiceStore, "", scu, Granted}, Grant{5, ServiceCommit, "", Roles{SCP: true}, Granted}
	no := func(id uint8) Grant { return Grant{ID: id, Reason: NotPermitted} }
	for _, c := range []struct {
		name        string
		devices     []Device
		called      dicom.AETitle
		contexts    []Context
		direction   Direction
		refusal     Refusal
		destination string
		want        []Grant
	}{
		{"objects for a device", s.Devices, "WS", contexts, FromArchive, NotRefused, "ws", []Grant{echo, store, no(5), no(7)}},
		{"reports for a device", s.Devices, "WS", events, FromArchive, NotRefused, "ws", []Grant{{1, ServiceUPS, "", Roles{SCP: true}, Granted}, no(3), no(5)}},
		{"reports of what the device does not use", idle, "WS", events, FromArchive, NotRefused, "ws", []Grant{no(1), no(3), no(5)}},
		{"events for the gateway", s.Devices, "CORDON", events, FromArchive, NotRefused, "", []Grant{no(1), no(3), no(5)}},
		{"reports for the gateway", s.Devices, "CORDON", contexts, FromArchive, NotRefused, "", []Grant{echo, no(3), report, no(7)}},
		{"reports for a title that was called", s.Devices, "VNA", contexts, FromArchive, NotRefused, "", []Grant{echo, no(3), report, no(7)}},
		{"a device without a port", s.Devices, "WS2", contexts, FromArchive, UnknownCalled, "", nil},
		{"a title of two devices", s.Devices, "TWIN", contexts, FromArchive, UnknownCalled, "", nil},
		{"an archive that is a device too: its reports", both, "CORDON", contexts, FromArchive, NotRefused, "", []Grant{echo, no(3), report, no(7)}},
		{"an archive that is a device too: its queries", both, "VNA", contexts[3:], Inbound, NotRefused, "", []Grant{{7, ServiceQuery, "vna", scu, Granted}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Devices = c.devices
			got := s.Admit(Association{Address: netip.MustParseAddr("10.0.9.1"), Calling: "PACS", Called: c.called, Contexts: c.contexts})
			if got.Direction != c.direction || got.Refusal != c.refusal || got.Destination != c.destination {
				t.Errorf("got %+v", got)
			}
			same(t, got.Contexts, c.want)
		})
	}
	ws, _ := s.Device("ws")
	if at, ok := ws.Outlet(); !ok || at.String() != "10.0.5.7:104" {
		t.Errorf("ws is at %v, %v", at, ok)
	}
}

// TestServices: each service of the standard's SOP classes.
func TestServices(t *testing.T) {
	for class, want := range map[dicom.UID]Service{
		dicom.Verification:                                 ServiceEcho,
		dicom.EnhancedCTImageStorage:                       ServiceStore,
		dicom.HangingProtocolStorage:                       ServiceStore,
		dicom.StoredPrintStorage:                           ServiceStore,
		"1.3.12.2.1107.5.9.1":                              ServiceStore, // private
		dicom.PatientRootQueryRetrieveInformationModelFind: ServiceQuery,
		dicom.CompositeInstanceRetrieveWithoutBulkDataGet:  ServiceRetrieve,
		dicom.ModalityWorklistInformationModelFind:         ServiceWorklist,
		dicom.ModalityPerformedProcedureStepNotification:   ServiceMPPS,
		dicom.BasicColorPrintManagementMeta:                ServicePrint,
		dicom.StorageCommitmentPushModel:                   ServiceCommit,
		dicom.UnifiedProcedureStepQuery:                    ServiceUPS,
		dicom.HangingProtocolInformationModelFind:          ServiceOther,
		dicom.InstanceAvailabilityNotification:             ServiceOther,
		dicom.MediaCreationManagement:                      ServiceOther,
		dicom.GeneralRelevantPatientInformationQuery:       ServiceOther,
		dicom.MediaStorageDirectoryStorage:                 "",
		dicom.VideoEndoscopicImageRealTimeCommunication:    "",
		dicom.ImplicitVRLittleEndian:                       "",
		"1.2.840.10008.4.2":                                "", // a service class, no SOP class
	} {
		if got := ServiceOf(class); got != want {
			t.Errorf("%s: got %q, want %q", class, got, want)
		}
	}
	for _, s := range Services() {
		if _, ok := map[Service]bool{ServiceStore: true, ServiceOther: true}[s]; ok {
			continue
		}
		if !slices.ContainsFunc(serviceClasses, func(c struct {
			Class   dicom.UID
			Service Service
		}) bool {
			return c.Service == s
		}) {
			t.Errorf("%s has no SOP class", s)
		}
	}
}

// TestShadowCountsWhatRefuseRefuses: over associations of every kind, shadow
// lets pass all that refuse rejects for what it is, and names exactly that.
func TestShadowCountsWhatRefuseRefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) int { return random.IntN(n) }
	classes := []dicom.UID{dicom.Verification, dicom.CTImageStorage, dicom.MRImageStorage, dicom.StudyRootQueryRetrieveInformationModelFind,
		dicom.StudyRootQueryRetrieveInformationModelGet, dicom.ModalityWorklistInformationModelFind, dicom.MediaStorageDirectoryStorage}
	s := site
	s.Devices = append(slices.Clone(site.Devices), Device{
		Name: "mr", AETitle: "MR", TLSRequired: true, Hours: hours(t, "mon-fri 08:00-18:00"), Archives: []string{"vna"},
		May: []Service{ServiceEcho, ServiceStore, ServiceRetrieve}, SOPClasses: []dicom.UID{dicom.MRImageStorage},
	}, Device{Name: "old", AETitle: "OLD", Denied: true})
	refused, objected := map[string]int{}, map[string]int{}
	for range 5000 {
		a := Association{
			Address: netip.MustParseAddr([]string{"10.0.0.21", "10.0.1.3", "10.0.2.3", "10.7.7.7"}[pick(4)]),
			TLS:     pick(2) == 0,
			Calling: []dicom.AETitle{"CT1", "US", "ROAM", "MR", "OLD", "NEW"}[pick(6)],
			Called:  []dicom.AETitle{"CORDON", "PACS", "VNA"}[pick(3)],
			At:      WallClock{Day: pick(7), Hour: pick(24)},
		}
		for i := range 1 + pick(4) {
			a.Contexts = append(a.Contexts, Context{ID: uint8(2*i + 1), AbstractSyntax: classes[pick(len(classes))], Roles: Roles{SCP: pick(3) == 0}})
		}
		s.Unknown = RefuseUnknown
		strict := s.Admit(a)
		s.Unknown = ShadowUnknown
		shadow := s.Admit(a)
		if strict.Refusal != NotRefused && !strict.Refusal.shadowed() {
			if shadow.Refusal != strict.Refusal {
				t.Fatalf("%+v: refuse says %v, shadow %v", a, strict.Refusal, shadow.Refusal)
			}
			continue
		}
		if shadow.Refusal != NotRefused {
			t.Fatalf("%+v: shadow refuses: %v", a, shadow.Refusal)
		}
		if strict.Refusal != NotRefused {
			refused[strict.Refusal.String()]++
		}
		for _, g := range strict.Contexts {
			if g.Reason == NotPermitted || g.Reason == ClassNotPermitted {
				refused[fmt.Sprint(g.Reason)]++
			}
		}
		for i, o := range shadow.WouldRefuse {
			switch {
			case o.Refusal == NotRefused:
				objected[o.Reason.String()]++
			case i == 0: // more may follow; refuse names the first
				objected[o.Refusal.String()]++
			}
		}
		for _, g := range shadow.Contexts {
			if g.Reason == NotPermitted || g.Reason == ClassNotPermitted {
				t.Fatalf("%+v: shadow refuses context %d", a, g.ID)
			}
		}
	}
	if len(refused) < 5 {
		t.Fatalf("too little was refused: %v", refused)
	}
	if fmt.Sprint(refused) != fmt.Sprint(objected) {
		t.Errorf("refuse refuses %v, shadow named %v", refused, objected)
	}
}
