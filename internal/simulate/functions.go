package simulate

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"archiver/internal/simulate/dataset"
)

// maxItems bounds pages of functions and versions (SDK model
// ListFunctionsRequest).
const maxItems = 400

// beijing is the time zone of the configuration times in the pages' samples.
var beijing = time.FixedZone("", 8*60*60)

// functionJSON has the fields that the SDK's models ListFunctionResult and
// ListFunctionVersionResult require.
type functionJSON struct {
	FuncURN      string `json:"func_urn"`
	FuncName     string `json:"func_name"`
	DomainID     string `json:"domain_id"`
	Namespace    string `json:"namespace"`
	ProjectName  string `json:"project_name"`
	Package      string `json:"package"`
	Runtime      string `json:"runtime"`
	Timeout      int    `json:"timeout"`
	Handler      string `json:"handler"`
	MemorySize   int    `json:"memory_size"`
	CPU          int    `json:"cpu"`
	CodeType     string `json:"code_type"`
	CodeSize     int    `json:"code_size"`
	Digest       string `json:"digest"`
	Version      string `json:"version"`
	ImageName    string `json:"image_name"`
	LastModified string `json:"last_modified"`
	Type         string `json:"type"`
}

func (s *Server) function(i int, version string) functionJSON {
	return functionJSON{
		FuncURN:      s.ofVersion(i, version),
		FuncName:     s.names[i],
		DomainID:     s.options.ProjectID,
		Namespace:    s.options.ProjectID,
		ProjectName:  s.options.Region,
		Package:      "default",
		Runtime:      "Python3.9",
		Timeout:      dataset.MaxDuration,
		Handler:      "index.handler",
		MemorySize:   256,
		CPU:          300,
		CodeType:     "inline",
		CodeSize:     1024,
		Digest:       strings.Repeat("0", 128),
		Version:      version,
		ImageName:    "latest",
		LastModified: s.configured().Format(time.RFC3339),
		Type:         "v2",
	}
}

// configured is when all functions were created: 30 days before the first
// invocation.
func (s *Server) configured() time.Time {
	return s.data.FirstDay().AddDate(0, 0, -30).In(beijing)
}

// listFunctions answers GET …/functions. The last page has a next_marker too,
// equal to count.
func (s *Server) listFunctions(w http.ResponseWriter, c call) error {
	functions, count, err := s.listed()
	if err != nil {
		return err
	}
	from, to, err := slice(c, "maxitems", maxItems, maxItems, len(functions))
	if err != nil {
		return err
	}
	list := make([]functionJSON, 0, to-from)
	for _, i := range functions[from:to] {
		list = append(list, s.function(i, "latest"))
	}
	return answerJSON(w, http.StatusOK, struct {
		Functions  []functionJSON `json:"functions"`
		NextMarker int            `json:"next_marker"`
		Count      int            `json:"count"`
	}{list, to, count})
}

// showStatusLog answers GET …/async-status-log-detail, which says where the
// records are stored (SDK model ShowProjectAsyncStatusLogInfoResponse).
func (s *Server) showStatusLog(w http.ResponseWriter, _ call) error {
	return answerJSON(w, http.StatusOK, map[string]string{
		"group_name":  "functiongraph.log.group.async." + s.options.ProjectID,
		"group_id":    "8f2c1e5a-6f0d-4d0e-9b57-3f1c0a9d7e21",
		"stream_name": "functiongraph.async.status",
		"stream_id":   "c3b7d9f4-1a52-4c86-8e0b-5d2f6a7b8c90",
	})
}

// slice returns the half-open range of n items that the call's marker, an offset,
// and its size parameter ask for.
func slice(c call, size string, otherwise, most, n int) (from, to int, err error) {
	if len(c.query.Get("marker")) > maxLength {
		return 0, 0, invalid("marker is longer than 64 characters")
	}
	if from, err = parseOffset(c.query, "marker"); err != nil {
		return 0, 0, err
	}
	limit, err := parseOffset(c.query, size)
	if err != nil {
		return 0, 0, err
	}
	from = min(from, n)
	return from, min(from+min(cmp.Or(limit, otherwise), most), n), nil
}
