"""A federation against FedAvg written down again, from docs/design.md and nothing of federated/.

Shared are the data, the streams, the network's layers and the seeds; devices, batches, steps and
means are made here by plain arithmetic. The order of sums is another one, so weights agree closely.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from titan_repro.records import checkpoint
from titan_repro.runs.build import build_loader, build_network, load_task
from titan_repro.runs.run import run
from titan_repro.seeds import derive_seed, generator
from titan_repro.streams.clean import CleanStream
from titan_repro.streams.partition import by_classes, dirichlet

N, TAKING_PART, E, ROUNDS, V, B, RATE, SEED = 5, 2, 2, 4, 40, 10, 0.05, 3

SETTINGS = (
    *("federation=fedavg", f"federation.devices={N}", "federation.share=0.4"),
    *(f"federation.local_iterations={E}", f"rounds={ROUNDS}", f"stream.velocity={V}"),
    *(f"batch_size={B}", f"learning_rate={RATE}", "learning_rate_floor=0", "learning_rate_every=2"),
    *("learning_rate_decay=0.5", f"seed={SEED}", "selector=rs"),
)


def reference(config, *, alpha=None, mu=0.0, local=False):
    """Return the weights after all rounds, by name, and the samples that were trained on."""
    loader = build_loader(config)
    task = load_task(config, loader, loader.locate("."))
    labels = task.train.labels
    parts = by_classes(labels, N, 5, SEED) if alpha is None else dirichlet(labels, N, alpha, SEED)
    network = build_network(config).train()
    world = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trainable = {name for name, _ in network.named_parameters()}
    kept: dict[int, dict[str, torch.Tensor]] = {}
    trained = []
    for r in range(ROUNDS):
        rate = RATE * 0.5 ** (r // 2)
        came_back = []
        devices = torch.randperm(N, generator=generator(SEED, "participants", r))[:TAKING_PART]
        for k in sorted(devices.tolist()):
            own_seed = SEED if k == 0 else derive_seed(SEED, "device", k)
            stream = CleanStream(task, own_seed, V, parts[k])
            network.load_state_dict({**world, **kept.get(k, {})})
            for t in (r * E, r * E + 1):
                order = torch.randperm(V, generator=generator(own_seed, "selection", t))[:B]
                batch = stream.round(t).take(order)
                trained.append(batch.indices.tolist())
                network.zero_grad()
                F.cross_entropy(network(stream.inputs(batch)), batch.labels).backward()
                with torch.no_grad():
                    for name, w in network.named_parameters():
                        w -= rate * (w.grad + mu * (w - world[name]))
            state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            if local:
                kept[k] = {name: state[name] for name in state.keys() - trainable}
            came_back.append((len(parts[k]), state))
        total = sum(samples for samples, _ in came_back)
        for name, tensor in world.items():
            each = np.stack([samples / total * state[name].numpy() for samples, state in came_back])
            if tensor.is_floating_point():
                world[name] = torch.from_numpy(each.sum(axis=0)).float()
            else:  # BatchNorm's count of batches
                world[name] = torch.stack([state[name] for _, state in came_back]).max()
    return world, trained


CASES = {
    "fedavg": ((), {}),
    "unequal": (("federation.by=dirichlet", "federation.alpha=0.3"), {"alpha": 0.3}),
    "fedprox": (("federation.proximal=2",), {"mu": 2.0}),
    "batchnorm=average": (("model.norm=batch",), {}),
    "batchnorm=local": (("model.norm=batch", "federation.batchnorm=local"), {"local": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_federation_is_fedavg(configure, case):
    more, how = CASES[case]
    config = configure(*SETTINGS, "model.norm=none", *more)
    expected, trained = reference(config, **how)
    outcome = run(config)
    found = checkpoint.load(outcome.folder / "checkpoint.pt").state["executor"]["network"]
    rows = outcome_batches(outcome)
    assert rows == trained
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


def outcome_batches(outcome):
    """Return the samples of each batch of a run, in the order in which rounds record them."""
    from titan_repro.records.folder import RunFolder

    rows = RunFolder(outcome.folder).rounds()["trained_indices"]
    return [list(batch) for row in rows for batch in np.asarray(row).reshape(-1, B)]
