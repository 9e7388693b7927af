"""Two networks and two optimizers; pictures are drawn from the generator in training mode."""

import torch
from torch import nn

torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self, z_dim=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(z_dim, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2), nn.Tanh()
        )

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(16, 1), nn.Sigmoid()
        )

    def forward(self, x):
        return self.net(x)


net_g, net_d = Generator(), Discriminator()
criterion = nn.BCELoss()
optimizer_d = torch.optim.Adam(net_d.parameters(), lr=2e-3, betas=(0.5, 0.999))
optimizer_g = torch.optim.Adam(net_g.parameters(), lr=2e-3, betas=(0.5, 0.999))
fixed_noise = torch.randn(8, 4)
data = torch.randn(256, 2) * 0.1 + 0.5
real_label, fake_label = torch.ones(32, 1), torch.zeros(32, 1)

for epoch in range(2):
    for real in data[torch.randperm(len(data))].split(32):
        net_d.zero_grad()
        err_real = criterion(net_d(real), real_label)
        err_real.backward()
        fake = net_g(torch.randn(32, 4))
        err_fake = criterion(net_d(fake.detach()), fake_label)
        err_fake.backward()
        optimizer_d.step()

        net_g.zero_grad()
        err_g = criterion(net_d(fake), real_label)
        err_g.backward()
        optimizer_g.step()
    with torch.no_grad():
        pictures = net_g(fixed_noise)
    print(epoch, err_g.item(), pictures.mean().item())
