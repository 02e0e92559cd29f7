"""The permutation of a seed: permute and lu."""


def philox(seed, stream, index):
    """Philox4x32-10 (Salmon et al. 2011)."""
    word = 0xFFFFFFFF
    c = [index & word, index >> 32, stream & word, stream >> 32]
    k = [seed & word, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & word, a >> 32 ^ c[3] ^ k[1], a & word]
        k = [k[0] + 0x9E3779B9 & word, k[1] + 0xBB67AE85 & word]
    return c


def permutation(seed, size):
    """Of 0 … size-1 (at most 4096): a Feistel network on 12 bits, walked until inside. A saved model means this
    permutation, now and always."""
    if size < 2:
        return [0]

    def mix(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    keys = []
    for i in (0, 2, 4):
        c = philox(seed, 0, i)
        keys += [c[0] << 32 | c[1], c[2] << 32 | c[3]]

    def image(i):
        while True:
            for key in keys:
                low, high = i & 63, i >> 6
                i = low << 6 | (high ^ mix(low ^ key) & 63)
            if i < size:
                return i

    return [image(i) for i in range(size)]
