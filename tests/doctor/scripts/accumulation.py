"""Gradients of several small batches are added up on purpose, with mixed precision at hand."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

ACCUMULATE = 4
device = "cuda" if torch.cuda.is_available() else "cpu"


class Squares(Dataset):
    def __init__(self, n):
        self.x = torch.arange(n).float().view(-1, 1) / n

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.x[i] ** 2


def main():
    torch.manual_seed(1)
    train_loader = DataLoader(Squares(200), batch_size=8, shuffle=True)
    valid_loader = DataLoader(Squares(50), batch_size=50)
    model = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    loss_fn = nn.MSELoss()
    for _ in range(3):
        model.train()
        for i, (x, y) in enumerate(train_loader):
            with torch.autocast(device, enabled=device == "cuda"):
                loss = loss_fn(model(x.to(device)), y.to(device)) / ACCUMULATE
            scaler.scale(loss).backward()
            if (i + 1) % ACCUMULATE == 0:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
        scheduler.step()
        model.eval()
        with torch.inference_mode():
            total = sum(loss_fn(model(x.to(device)), y.to(device)).item() for x, y in valid_loader)
        print(total)


if __name__ == "__main__":
    main()
