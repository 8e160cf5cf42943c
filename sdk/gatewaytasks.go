package sdk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
)

// Change deletes a task or decides about a dead letter, at the endpoints for people.
func (g gateway) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	switch change := change.GetChange().(type) {
	case *runtimev1.TaskChange_Delete:
		return g.change(ctx, http.MethodDelete, change.Delete, "")
	case *runtimev1.TaskChange_Bury:
		return g.change(ctx, http.MethodDelete, change.Bury, "?dead=true")
	case *runtimev1.TaskChange_Revive:
		return g.change(ctx, http.MethodPost, change.Revive, "/retry")
	default:
		return fault.NotOffered("set tasks in this way")
	}
}

func (g gateway) change(ctx context.Context, method string, key *runtimev1.TaskKey, what string) error {
	if err := task.CheckKey(key); err != nil {
		return fault.InvalidTask(err.Error())
	}
	kind, escaped := "alarm", name.EscapeID(key.GetAlarm())
	if key.GetJob() != "" {
		kind, escaped = "job", name.EscapeID(key.GetJob())
	}
	_, err := g.request(ctx, method, kind, key.GetType(), key.GetId(), "/"+escaped+what)
	return err
}

// List lists the tasks of an actor: its alarms, and then its jobs.
func (g gateway) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	after, alarms, jobs := req.GetAfter(), runtimev1.ListRequest_KIND_ALARMS, runtimev1.ListRequest_KIND_JOBS
	if req.GetKind() == jobs || after.GetJob() != "" {
		return g.list(ctx, "job", req, after.GetJob())
	}
	page, err := g.list(ctx, "alarm", req, after.GetAlarm())
	switch {
	case err != nil || req.GetKind() == alarms:
		return page, err
	case len(page.GetTasks()) == 0:
		return g.list(ctx, "job", req, "")
	}
	page.More = true // the jobs
	return page, nil
}

// ListActors is not offered: a gateway serves the methods of actors to whoever reaches it.
func (g gateway) ListActors(context.Context, *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return nil, fault.NotByGateway("lists no actors", "list them in a worker, and let a method of an actor answer with what its callers may see")
}

// list lists a page of one kind.
func (g gateway) list(ctx context.Context, kind string, req *runtimev1.ListRequest, after string) (*runtimev1.ListResponse, error) {
	query := url.Values{}
	if req.GetDead() {
		query.Set("dead", "true")
	}
	if req.GetName() != "" {
		query.Set("name", req.GetName())
	}
	if req.GetLimit() != 0 {
		query.Set("limit", strconv.FormatUint(uint64(req.GetLimit()), 10))
	}
	if after != "" {
		query.Set("after", after)
	}
	body, err := g.request(ctx, http.MethodGet, kind, req.GetType(), req.GetId(), "?"+query.Encode())
	if err != nil {
		return nil, err
	}
	page := &runtimev1.ListResponse{}
	if err := proto.Unmarshal(body, page); err != nil {
		return nil, fault.WrongReply("the gateway answered with no list: " + err.Error())
	}
	return page, nil
}

// request does something below /{kind}/{type}/{id}.
func (g gateway) request(ctx context.Context, method, kind, typ, id, rest string) ([]byte, error) {
	if err := name.CheckID(id); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	target := strings.TrimSuffix(g.url, "/") + "/" + kind + "/" + name.EscapeID(typ) + "/" + name.EscapeID(id) + rest
	req, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the url of the gateway: "+err.Error())
	}
	req.Header.Set("Accept", "application/proto")
	res, err := g.http.Do(req)
	if err != nil {
		return nil, failed(ctx, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(res.Body, limit.MaxMessage))
	switch {
	case err != nil:
		return nil, failed(ctx, err)
	case res.StatusCode != http.StatusOK:
		return nil, refusalOf(res.Status, body)
	}
	return body, nil
}

// refusalOf is the error that the gateway answered with, as Connect writes it in JSON.
func refusalOf(status string, body []byte) error {
	var refusal struct {
		Code    connect.Code `json:"code"`
		Message string       `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"details"`
	}
	if err := json.Unmarshal(body, &refusal); err != nil || refusal.Code == 0 {
		return fault.Received(connect.Errorf(connect.CodeUnavailable, "the gateway answered %s", status))
	}
	coded := connect.NewError(refusal.Code, refusal.Message)
	for _, detail := range refusal.Details {
		if value, err := base64.RawStdEncoding.DecodeString(detail.Value); err == nil {
			coded = coded.WithDetail(&connect.ErrorDetail{Type: detail.Type, Value: value})
		}
	}
	return coded
}
