// Shop serves two actor types of two proto packages and calls them once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/sdk/francistest"

	cartv1 "example.com/shop/gen/shop/cart/v1"
	"example.com/shop/gen/shop/cart/v1/cartv1francis"
	catalogv1 "example.com/shop/gen/shop/catalog/v1"
	"example.com/shop/gen/shop/catalog/v1/catalogv1francis"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	host, err := francistest.NewHost()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	err = errors.Join(
		catalogv1francis.RegisterItemService(host, newItem),
		cartv1francis.RegisterCartService(host, newCart),
	)
	if err == nil {
		err = shop(ctx, host)
	}
	stop()
	return errors.Join(err, <-ended)
}

func shop(ctx context.Context, host *francistest.Host) error {
	tea := catalogv1francis.NewItemServiceProxy(host.Service(), "tea")
	if _, err := tea.SetPrice(ctx, &catalogv1.SetPriceRequest{Cents: 250}); err != nil {
		return err
	}
	cart := cartv1francis.NewCartServiceProxy(host.Service(), "alice")
	for _, count := range []int64{1, 2} {
		if _, err := cart.Add(ctx, &catalogv1.Line{Item: "tea", Count: count}); err != nil {
			return err
		}
	}
	total, err := cart.Total(ctx, &cartv1.TotalRequest{})
	if err != nil {
		return err
	}
	fmt.Printf("%s pays %d cents\n", total.GetCustomer(), total.GetCents())
	return nil
}

type item struct {
	catalogv1francis.UnimplementedItemService
}

func newItem(context.Context, *catalogv1francis.ItemServiceActivation) (catalogv1francis.ItemService, error) {
	return item{}, nil
}

func (item) SetPrice(_ context.Context, turn catalogv1francis.ItemServiceTurn, req *catalogv1.SetPriceRequest) (*catalogv1.SetPriceResponse, error) {
	turn.State().Cents = req.GetCents()
	return &catalogv1.SetPriceResponse{}, nil
}

func (item) GetPrice(_ context.Context, view catalogv1francis.ItemServiceView, _ *catalogv1.GetPriceRequest) (*catalogv1.GetPriceResponse, error) {
	return &catalogv1.GetPriceResponse{Cents: view.State().GetCents()}, nil
}

type cart struct {
	cartv1francis.UnimplementedCartService
}

func newCart(context.Context, *cartv1francis.CartServiceActivation) (cartv1francis.CartService, error) {
	return cart{}, nil
}

func (cart) Add(_ context.Context, turn cartv1francis.CartServiceTurn, req *catalogv1.Line) (*emptypb.Empty, error) {
	turn.State().Lines = append(turn.State().Lines, req)
	return &emptypb.Empty{}, nil
}

func (cart) Total(ctx context.Context, view cartv1francis.CartServiceView, req *cartv1.TotalRequest) (*cartv1.TotalResponse, error) {
	total := &cartv1.TotalResponse{Customer: req.GetCustomer()}
	for _, line := range view.State().GetLines() {
		price, err := catalogv1francis.NewItemServiceProxy(view, line.GetItem()).GetPrice(ctx, &catalogv1.GetPriceRequest{})
		if err != nil {
			return nil, err
		}
		total.Cents += line.GetCount() * price.GetCents()
	}
	return total, nil
}
