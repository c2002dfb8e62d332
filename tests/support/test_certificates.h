/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys for tests, as they stand in a JSON or YAML text in double quotes; made for this
 * purpose and good for a hundred years, but for the one that ended. */
#pragma once

#define TEST_CERT_EC                                                      \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIBeDCCAR6gAwIBAgIUaqREVswQtE5ZD6oozpcUOkTkNtwwCgYIKoZIzj0EAwIw\\n" \
    "EjEQMA4GA1UEAwwHZWMudGVzdDAgFw0yNjExMjMwMjE5MTFaGA8yMTI2MTAzMDAy\\n" \
    "MTkxMVowEjEQMA4GA1UEAwwHZWMudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH\\n" \
    "A0IABDl2DiEXJ8ta94onVhSXXVJUViPWQArBcD7auDKgHeTwkt7ymWjXvf+cpMPt\\n" \
    "XtQtx33dkENgMI9y2Toral34vsqjUDBOMB0GA1UdDgQWBBTpiZEHnFTAJBqJkQ2Z\\n" \
    "LpHj8+Vb5zAfBgNVHSMEGDAWgBTpiZEHnFTAJBqJkQ2ZLpHj8+Vb5zAMBgNVHRMB\\n" \
    "Af8EAjAAMAoGCCqGSM49BAMCA0gAMEUCIBgdyrv1QQxAEyzmVt1rwMwHRTBQExtS\\n" \
    "iUv2oCBq77vWAiEA8CRucrC8HIRT/rtW4y64fT3tA3UK7WTHg3qSUbGLquE=\\n"     \
    "-----END CERTIFICATE-----\\n"

#define TEST_KEY_EC                                                       \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwTsIrPWVHp/p5PCE\\n" \
    "rjB2apg/TNxdMoc8pa1fDxAq0CmhRANCAAQ5dg4hFyfLWveKJ1YUl11SVFYj1kAK\\n" \
    "wXA+2rgyoB3k8JLe8plo173/nKTD7V7ULcd93ZBDYDCPctk6K2pd+L7K\\n"         \
    "-----END PRIVATE KEY-----\\n"

#define TEST_PUBLIC_EC                                                    \
    "-----BEGIN PUBLIC KEY-----\\n"                                       \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOXYOIRcny1r3iidWFJddUlRWI9ZA\\n" \
    "CsFwPtq4MqAd5PCS3vKZaNe9/5ykw+1e1C3Hfd2QQ2Awj3LZOitqXfi+yg==\\n"     \
    "-----END PUBLIC KEY-----\\n"

#define TEST_CERT_OTHER                                                   \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIBfjCCASSgAwIBAgIUTvxlVbBaGGeJtb35OUwkdIEVNHswCgYIKoZIzj0EAwIw\\n" \
    "FTETMBEGA1UEAwwKb3RoZXIudGVzdDAgFw0yNjExMjMwMjE5MTFaGA8yMTI2MTAz\\n" \
    "MDAyMTkxMVowFTETMBEGA1UEAwwKb3RoZXIudGVzdDBZMBMGByqGSM49AgEGCCqG\\n" \
    "SM49AwEHA0IABFbn5lt5eYonBT5gnsQy2Omrx9CsvDHQ1OZZa9JwgOEwmjgavHlv\\n" \
    "g7Tm1eHFIflFZ2C/372gpQGQ/qvJfpaWssmjUDBOMB0GA1UdDgQWBBSRnq24R7WI\\n" \
    "tZVl7f5hJHwJy0l6GjAfBgNVHSMEGDAWgBSRnq24R7WItZVl7f5hJHwJy0l6GjAM\\n" \
    "BgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0gAMEUCIBvLTFkGFrmkdMMtrWfW4vt+\\n" \
    "EfFrDtZSCa4DgnQSXGGLAiEA2BFuR4JcfiIyWa3Vfb9kooCxTykKifHYDaCMBK8U\\n" \
    "sa4=\\n"                                                             \
    "-----END CERTIFICATE-----\\n"

#define TEST_KEY_OTHER                                                    \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5umykIHpMIna+ocN\\n" \
    "tbN7F+z8DCUItSWr/uapjOcNTtKhRANCAARW5+ZbeXmKJwU+YJ7EMtjpq8fQrLwx\\n" \
    "0NTmWWvScIDhMJo4Grx5b4O05tXhxSH5RWdgv9+9oKUBkP6ryX6WlrLJ\\n"         \
    "-----END PRIVATE KEY-----\\n"

#define TEST_PUBLIC_OTHER                                                 \
    "-----BEGIN PUBLIC KEY-----\\n"                                       \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVufmW3l5iicFPmCexDLY6avH0Ky8\\n" \
    "MdDU5llr0nCA4TCaOBq8eW+DtObV4cUh+UVnYL/fvaClAZD+q8l+lpayyQ==\\n"     \
    "-----END PUBLIC KEY-----\\n"

#define TEST_CERT_RSA                                                     \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIDBjCCAe6gAwIBAgIUbj3Vp4bHPuU35tE/JgkreRm+KT0wDQYJKoZIhvcNAQEL\\n" \
    "BQAwEzERMA8GA1UEAwwIcnNhLnRlc3QwIBcNMjYxMTIzMDIxOTExWhgPMjEyNjEw\\n" \
    "MzAwMjE5MTFaMBMxETAPBgNVBAMMCHJzYS50ZXN0MIIBIjANBgkqhkiG9w0BAQEF\\n" \
    "AAOCAQ8AMIIBCgKCAQEAnS4do7BgKm0EjDejUJVj/dkh9JdjSqHDky2HnzSMXwOd\\n" \
    "OB7cc9tlaIu4xlA/WZ5d9nFu+7NU/FqrjgKW1HQsYuqCseZKIniJ5EGIahs7qlwS\\n" \
    "4U4V5PnKDH7h1CK0/UKmdkuwjdPKNYQMXT1HrCZvrOL2BTX1qEWaZDzRq+90zuDX\\n" \
    "RuQ6omXFkIf89sLfiYDLRqCbKrAN/0pNCS3icb/03H5zOY9Ym7qQ+mKsahDlr+oF\\n" \
    "u0KZ6CQXS2ajxhmIoZOjNJWJwQ/J40znIF+KN4rCEldvvORQbOi2EAWNevy2Hu0G\\n" \
    "+EHTIIHd6w7Sn3Dy5TPPVH9/Y3ELUP0ve06tNoRl9QIDAQABo1AwTjAdBgNVHQ4E\\n" \
    "FgQUY0kY74vrwk5yxnBaVDyhR48brWAwHwYDVR0jBBgwFoAUY0kY74vrwk5yxnBa\\n" \
    "VDyhR48brWAwDAYDVR0TAQH/BAIwADANBgkqhkiG9w0BAQsFAAOCAQEAP5yb94Zn\\n" \
    "phBAHNGGA9LUDXTzzIm+M/agSxK4JmE3prU9jrCmNuFPrWRLQMQAv6w2vqEL/8Nm\\n" \
    "cp7ZghLD2jSkqObDMgC8Z8pqnyc1kNGtDQq/WTT/OzGk9LR/63wlLST+6P57dwVv\\n" \
    "GhwCU/pyfn4RWEWJqi/Juf+OV5QzGV4ohbi624IQgcA0SH7JxSTaph5gWQKonol2\\n" \
    "RonAqpM/Rl7us+LDXtCxabGzDP/OE9muIrQHB9j49znM4hPDxqLbsg5hDGi8VJ4I\\n" \
    "xbaIVBYiVb+CBu10DQUluNd3zyN75Xx8shcAaE62w75FpGTI08FGktKNCHGCAtKX\\n" \
    "HIoECF9S+wmEbg==\\n"                                                 \
    "-----END CERTIFICATE-----\\n"

#define TEST_KEY_RSA                                                      \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCdLh2jsGAqbQSM\\n" \
    "N6NQlWP92SH0l2NKocOTLYefNIxfA504Htxz22Voi7jGUD9Znl32cW77s1T8WquO\\n" \
    "ApbUdCxi6oKx5koieInkQYhqGzuqXBLhThXk+coMfuHUIrT9QqZ2S7CN08o1hAxd\\n" \
    "PUesJm+s4vYFNfWoRZpkPNGr73TO4NdG5DqiZcWQh/z2wt+JgMtGoJsqsA3/Sk0J\\n" \
    "LeJxv/TcfnM5j1ibupD6YqxqEOWv6gW7QpnoJBdLZqPGGYihk6M0lYnBD8njTOcg\\n" \
    "X4o3isISV2+85FBs6LYQBY16/LYe7Qb4QdMggd3rDtKfcPLlM89Uf39jcQtQ/S97\\n" \
    "Tq02hGX1AgMBAAECggEAI86nrey2W7PuP0tFh0whNWlL1P7P/eaQOW074kcEW3jl\\n" \
    "Ti2ppzMqDQEXnQYXCIGNgmEhGXInQD4fqwBoAApfOkGWeJSv+t5e+4L6YsHFe+/x\\n" \
    "1SYG0t0c7G/TXpJxjOisJ3Liy8yd2kc00eDt/QfclRQ3W8SJLEZ+/6rjUToB8Ebp\\n" \
    "D5nlNVieDhpwgDBnZpaGl5oeDq+w1micafVhp6YKWmrSQ4N9QTRwcIXLEpJcmoHF\\n" \
    "gS8Db0LVKK0YHluAXtsi+OMEaLaqqkXookAgLqdxROQzhlEjVlrQlXyw/1hgC16b\\n" \
    "fyo6AKWLsMho+uavpZjbtIZA+/dS9tqEqYPrCKwtGQKBgQDP60iijUOh1Ewfjnif\\n" \
    "rTS95i5DyxT3RstNZtHQL4tXQVKtlVGAQiYb3yN+JW4L3R/qcetPH20ZSIuu4KEH\\n" \
    "YmQbCMqYyZi6Slm0+BO8sKZpySKf8ln6+XGMNMYLycH0FTAL6VIrFd5q7Ei0JWB6\\n" \
    "DZsNK/mw4u2e/X8bWdhNTTlO2wKBgQDBhxwT03bsTgpwEcCaV/6Y+5yqR/KdFJVP\\n" \
    "OCgW1hVxZOYThBzpCfS5m6vlzMpe+Ds9frFNNtOEYYjykuYYEBv81jJZDTkRtSEZ\\n" \
    "ZRXRUfMO266u5Rs6rTaBIL0mMmxkFB4wAt6ge2cfEt47OfnLczYbvj+MRxnaKi2I\\n" \
    "JQTaq+MvbwKBgG2ldZOLjawM6ewGVSRX0iWG+sTzluXkZpg17dWtDP2BzFkQEn/h\\n" \
    "4nj2TqBamtMU1JztYJtERmN793XMrf7X61S6aSTzw2ASj4Y5ASeTvN6ynFjfFIae\\n" \
    "/ztiJULYLjlK5yCQ9a0VBks6ugiOYXdcL3VdyHp44bjjlCFXWxNA80TbAoGARENx\\n" \
    "PvkPcMkSW3eXlZnGX5YZK+NXC9tv01K+qVd4ltf9ZBLs07LEVRg5KUT0eU1cMBPZ\\n" \
    "XKAjOgXhdZclfIVqKeQwPEMyxzE57KhAauZaMvqAgoaj9S2WFTREJA4TN7X09AB/\\n" \
    "IOKGfGp+YyvPFdmc02pnJgcKcm8AQo60SKHq8BcCgYBX7BcfFBJvsVuYkfRPxL84\\n" \
    "NdnSvPaOP3adTxs+3fSulo6GPNm/6pejsoJxBeFGbGGLgkHCVrlj1uS8GHAdgiIS\\n" \
    "cmKZttbrYW80p6takigWx4gGSCmgFBedY75UzeiRKjFWPXK9OgwSXIhM+t0UBt9d\\n" \
    "YJQcEZf+n79JaV8QAx7ZYw==\\n"                                         \
    "-----END PRIVATE KEY-----\\n"

#define TEST_CA                                                           \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIBfDCCASGgAwIBAgIUDP+2DW8MvOc96yG6gCXA1BZeKh8wCgYIKoZIzj0EAwIw\\n" \
    "EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjMwMjE5MTFaGA8yMTI2MTAzMDAy\\n" \
    "MTkxMVowEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH\\n" \
    "A0IABDl2DiEXJ8ta94onVhSXXVJUViPWQArBcD7auDKgHeTwkt7ymWjXvf+cpMPt\\n" \
    "XtQtx33dkENgMI9y2Toral34vsqjUzBRMB0GA1UdDgQWBBTpiZEHnFTAJBqJkQ2Z\\n" \
    "LpHj8+Vb5zAfBgNVHSMEGDAWgBTpiZEHnFTAJBqJkQ2ZLpHj8+Vb5zAPBgNVHRMB\\n" \
    "Af8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCRylvVV+vA3u2aEwDlzSSLfwKo\\n" \
    "kwBr6ZvEXjBpony0VQIhANQh6n/HrBm5MJUEugfwVkugkXbu4UWr03QEHGmunxOn\\n" \
    "-----END CERTIFICATE-----\\n"

#define TEST_CA_EXPIRED                                                   \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIBSjCB8aADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCkV4cGlyZWQg\\n" \
    "Q0EwHhcNMTAwMTAxMDAwMDAwWhcNMTEwMTAxMDAwMDAwWjAVMRMwEQYDVQQDDApF\\n" \
    "eHBpcmVkIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVufmW3l5iicFPmCe\\n" \
    "xDLY6avH0Ky8MdDU5llr0nCA4TCaOBq8eW+DtObV4cUh+UVnYL/fvaClAZD+q8l+\\n" \
    "lpayyaMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkZ6tuEe1iLWVZe3+\\n" \
    "YSR8CctJehowCgYIKoZIzj0EAwIDSAAwRQIgIUu9VLrE0Nci0nx2tA1JiIRIe04i\\n" \
    "6lepmRIflAjS4fUCIQCifZgLciT9sIkAW1okODkGE/yUHXAnWsyX8VX1ULT7pw==\\n" \
    "-----END CERTIFICATE-----\\n"
